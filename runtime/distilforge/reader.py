"""The typed reader: builds a dataclass from the values of a JSON or TOML document, by its annotations.

A new field is one line in the dataclass. An annotation may be str, int, float, bool, Path, Literal, a union of these
with each other or with None, tuple[T, ...], a tuple of a fixed length, Mapping[str, T] or a dataclass.
docs/decisions/0019-one-typed-reader.md says why this is not a library.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar, Union, get_args, get_origin

from distilforge import json_text

T = TypeVar("T")
Convert = Callable[[object], object]
"""Turns a document's value into a field's value; raises MisfitError for a value that does not fit."""


class ErrorClass(Protocol):
    """The class of the caller's errors, or a function that makes one."""

    def __call__(self, message: str, *, hint: str = "") -> Exception: ...


class MisfitError(Exception):
    """A value that does not fit. Every level of the document adds the step that leads to it."""

    def __init__(self, problem: str, *, hint: str = "") -> None:
        """`problem` continues a sentence that begins with the value's path."""
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self._steps: list[str] = []

    @classmethod
    def of(cls, value: object, expected: str, *, hint: str = "") -> "MisfitError":
        """The MisfitError for `value`, where `expected` belongs."""
        try:
            text = f"{value!r:.80}"
        except RecursionError:  # lists in lists, thousands deep
            text = f"a {type(value).__name__}"
        return cls(f" must be {expected}, found {text}", hint=hint)

    def below(self, step: str) -> "MisfitError":
        """The same misfit, seen from the level above: `step` leads to where it is."""
        self._steps.insert(0, step)
        return self

    @property
    def path(self) -> str:
        """The steps from the document to the value, such as `variants[0].files`."""
        return "".join(self._steps).removeprefix(".")


# Plain classes, since a frozen dataclass takes 1 ms to create, and every application would wait for these two
class _Kind:
    """How the values of one annotation are read."""

    __slots__ = ("convert", "many", "one")

    def __init__(self, one: str, many: str, convert: Convert) -> None:
        """`one` and `many` are the words of an error for what a value, or each entry of a list, must be."""
        self.one = one
        self.many = many
        self.convert = convert


class _Field:
    """How one field of a dataclass is read."""

    __slots__ = ("admits_none", "convert", "required")

    def __init__(self, convert: Convert, *, admits_none: bool, required: bool) -> None:
        """`admits_none` says whether None is a value of its own, and `required` that there is no default."""
        self.convert = convert
        self.admits_none = admits_none
        self.required = required


class Reader:
    """Reads dataclasses from values such as `json.loads` and `tomllib.loads` return.

    A field that is left out takes its default, or else None where its annotation admits that. A None for a field that
    does not admit it counts as left out. Names that are not fields are ignored or refused.
    """

    def __init__(
        self,
        error: ErrorClass,
        *,
        unknown: Literal["ignore", "refuse"],
        table: Literal["object", "table"] = "object",
        hint: str = "",
        rejections: tuple[type[Exception], ...] = (ValueError,),
        converters: Mapping[object, Convert] = types.MappingProxyType({}),
    ) -> None:
        """A reader whose errors are `error`.

        `table` is the format's word for a group of named values, and `hint` goes to errors that have no hint of their
        own. `rejections` are what the dataclasses and `converters` raise for a value that they do not take. The
        `converters` read annotations that a document writes in a form of its own.
        """
        self._error = error
        self._refuses_unknown = unknown == "refuse"
        self._table = "an object" if table == "object" else "a table"
        self._tables = f"{table}s"
        self._hint = hint
        self._rejections = rejections
        self._kinds = {
            annotation: _Kind("", "", self._guarded(convert)) for annotation, convert in converters.items()
        }
        self._fields: dict[type, dict[str, _Field]] = {}

    def read(self, kind: type[T], value: object, place: str) -> T:
        """The `kind` in `value`; an error names `place`, the field's path, its value and what was expected."""
        try:
            built = self._kind(kind).convert(value)
        except MisfitError as misfit:
            raise self._located(misfit, place) from misfit.__cause__
        assert isinstance(built, kind)
        return built

    def read_json(self, kind: type[T], text: str, place: str) -> T:
        """The `kind` in the JSON document `text`."""
        return self.read(kind, self.parse_json(text, place), place)

    def update(self, base: T, value: object, place: str) -> T:
        """`base` with the fields that `value` gives; where a field holds a dataclass, that is updated too."""
        try:
            updated = self._updated(base, value)
        except MisfitError as misfit:
            raise self._located(misfit, place) from misfit.__cause__
        assert isinstance(updated, type(base))
        return updated

    def parse_json(self, text: str, place: str) -> object:
        """The value of the JSON document `text`, within the limits of `json_text.parse`."""
        try:
            return json_text.parse(text)
        except ValueError as cause:
            raise self._error(f"{place} is not valid JSON: {cause}", hint=self._hint) from cause

    def _located(self, misfit: MisfitError, place: str) -> Exception:
        where = ": ".join(filter(None, (place, misfit.path)))
        return self._error(f"{where}{misfit.problem}".removeprefix(": "), hint=misfit.hint or self._hint)

    def _kind(self, annotation: object) -> _Kind:
        if annotation not in self._kinds:
            self._kinds[annotation] = self._make_kind(annotation)
        return self._kinds[annotation]

    def _make_kind(self, annotation: object) -> _Kind:
        if annotation in _SCALARS:
            return _SCALARS[annotation]
        if isinstance(annotation, type) and is_dataclass(annotation):
            return _Kind(self._table, self._tables, lambda value: self._build(annotation, value, {}))
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return _literal(arguments)
        if origin is Union or origin is types.UnionType:
            return _union([self._kind(argument) for argument in arguments])
        if origin is tuple:
            if arguments[-1] is Ellipsis:
                return _sequence(self._kind(arguments[0]))
            return _fixed_sequence([self._kind(argument) for argument in arguments])
        if origin is Mapping:
            return _mapping(self._kind(arguments[1]), self._table, self._tables)
        raise TypeError(f"the reader has no rule for the annotation {annotation!r}")

    def _fields_of(self, kind: type) -> dict[str, _Field]:
        if kind not in self._fields:
            assert is_dataclass(kind)
            # typing.get_type_hints would add 1 ms to the first document that a process reads
            self._fields[kind] = {
                entry.name: _Field(
                    self._kind(entry.type).convert,
                    admits_none=type(None) in get_args(entry.type),
                    required=entry.default is MISSING and entry.default_factory is MISSING,
                )
                for entry in fields(kind)
            }
        return self._fields[kind]

    def _updated(self, base: object, value: object) -> object:
        own = {name: getattr(base, name) for name in self._fields_of(type(base))}
        nested: dict[str, object] = {}
        if isinstance(value, dict):
            nested = {name: entry for name, entry in value.items() if is_dataclass(own.get(name))}
            value = {name: entry for name, entry in value.items() if name not in nested}
        for name, entry in nested.items():
            try:
                own[name] = self._updated(own[name], entry)
            except MisfitError as misfit:
                raise misfit.below(f".{name}") from misfit.__cause__
        return self._build(type(base), value, own)

    def _build(self, kind: type, value: object, arguments: dict[str, object]) -> object:
        """The `kind` with the fields in `value`, or else those in `arguments`."""
        if not isinstance(value, dict):
            raise MisfitError.of(value, self._table)
        known = self._fields_of(kind)
        given = dict(arguments)
        for name, entry in value.items():
            if (field := known.get(name)) is None:
                if self._refuses_unknown:
                    raise _unknown(name, tuple(known))
            elif entry is not None or field.admits_none:
                try:
                    given[name] = field.convert(entry)
                except MisfitError as misfit:
                    raise misfit.below(f".{name}") from misfit.__cause__
        for name, field in known.items():
            if field.required and name not in given:
                if not field.admits_none:
                    raise MisfitError(f" lacks the field {name!r}")
                given[name] = None
        try:
            return kind(**given)
        except self._rejections as cause:
            raise _rejected(cause) from cause

    def _guarded(self, convert: Convert) -> Convert:
        """`convert`, with a rejection of its value as a MisfitError."""

        def guarded(value: object) -> object:
            try:
                return convert(value)
            except self._rejections as cause:
                raise _rejected(cause) from cause

        return guarded


def _rejected(cause: Exception) -> MisfitError:
    return MisfitError(f": {getattr(cause, 'message', cause)}", hint=getattr(cause, "hint", ""))


def _unknown(name: object, known: Sequence[str]) -> MisfitError:
    return MisfitError(
        f" has the unknown field {name!r:.80}; known: {', '.join(known)}", hint=_nearest(name, known)
    )


def _nearest(name: object, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # only on the way to an error, so that importing stays cheap

    near = get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise MisfitError.of(value, "text")
    return value


def _whole_number(value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisfitError.of(value, "a whole number")
    return value


def _number(value: object) -> object:
    if isinstance(value, float):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisfitError.of(value, "a number")
    try:
        return float(value)
    except OverflowError as cause:
        raise MisfitError.of(value, "a number that a float can hold") from cause


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise MisfitError.of(value, "true or false")
    return value


def _path(value: object) -> object:
    if not isinstance(value, str | Path):
        raise MisfitError.of(value, "a path")
    return Path(value)


def _none(value: object) -> object:
    if value is not None:
        raise MisfitError.of(value, "null")
    return value


_SCALARS: Mapping[object, _Kind] = {
    str: _Kind("text", "texts", _text),
    int: _Kind("a whole number", "whole numbers", _whole_number),
    float: _Kind("a number", "numbers", _number),
    bool: _Kind("true or false", "flags", _flag),
    Path: _Kind("a path", "paths", _path),
    type(None): _Kind("null", "nulls", _none),
}


def _literal(choices: Sequence[object]) -> _Kind:
    expected = " or ".join(map(repr, choices))

    def convert(value: object) -> object:
        # Of the same type too: True is 1 to Python
        if any(value == choice and type(value) is type(choice) for choice in choices):
            return value
        raise MisfitError.of(value, expected, hint=_nearest(value, tuple(map(str, choices))))

    return _Kind(expected, f"values {expected}", convert)


def _union(kinds: Sequence[_Kind]) -> _Kind:
    some = [kind for kind in kinds if kind.convert is not _none]
    if len(some) == 1:
        # Its own error says more than that of a union: it names the entry of a list that does not fit
        (only,) = some
        return _Kind(only.one, only.many, lambda value: None if value is None else only.convert(value))
    expected = " or ".join(kind.one for kind in some)

    def convert(value: object) -> object:
        for kind in kinds:
            try:
                return kind.convert(value)
            except MisfitError:
                continue
        raise MisfitError.of(value, expected)

    return _Kind(expected, f"entries, each {expected}", convert)


def _sequence(entries: _Kind) -> _Kind:
    expected = f"a list of {entries.many}" if entries.many else "a list"
    convert_entry = entries.convert

    def convert(value: object) -> object:
        if not isinstance(value, (list, tuple)):
            raise MisfitError.of(value, expected)
        converted = []
        for entry in value:
            try:
                converted.append(convert_entry(entry))
            except MisfitError as misfit:
                raise misfit.below(f"[{len(converted)}]") from misfit.__cause__
        return tuple(converted)

    return _Kind(expected, "lists", convert)


def _fixed_sequence(kinds: Sequence[_Kind]) -> _Kind:
    names = {kind.one for kind in kinds}
    what = kinds[0].many if len(names) == 1 else f"values: {', '.join(kind.one for kind in kinds)}"
    expected = f"a list of {len(kinds)} {what}"

    def convert(value: object) -> object:
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            raise MisfitError.of(value, expected)
        converted: list[object] = []
        for kind, entry in zip(kinds, value, strict=True):
            try:
                converted.append(kind.convert(entry))
            except MisfitError as misfit:
                raise misfit.below(f"[{len(converted)}]") from misfit.__cause__
        return tuple(converted)

    return _Kind(expected, f"lists of {len(kinds)} {what}", convert)


def _mapping(values: _Kind, table: str, tables: str) -> _Kind:
    def convert(value: object) -> object:
        if not isinstance(value, dict):
            raise MisfitError.of(value, table)
        converted: dict[str, object] = {}
        for name, entry in value.items():
            try:
                converted[name] = values.convert(entry)
            except MisfitError as misfit:
                raise misfit.below(f".{name}") from misfit.__cause__
        return converted

    return _Kind(table, tables, convert)
