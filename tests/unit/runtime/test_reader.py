"""The typed reader: every annotation, what is left out, what does not fit, and where an error says it is."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from distilforge.reader import MisfitError, Reader


class RefusedError(Exception):
    """The caller's error."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    low: int
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must be at most high, found {self.low} and {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    text: str
    whole: int
    number: float
    flag: bool
    path: Path
    choice: Literal["on", "off"]
    nested: Range
    admits_none: float | None
    either: int | str
    texts: tuple[str, ...]
    pair: tuple[float, float]
    mixed: tuple[str, int]
    by_name: Mapping[str, Range]
    many: tuple[Mapping[str, int], ...]
    nested_or_none: Range | None = None
    with_default: int | None = 3
    made: Mapping[str, str] = field(default_factory=dict)


VALUES: Mapping[str, object] = {
    "text": "a",
    "whole": 1,
    "number": 2,
    "flag": True,
    "path": "a/b",
    "choice": "on",
    "nested": {"low": 1},
    "admits_none": 0.5,
    "either": "batch",
    "texts": ["a", "b"],
    "pair": [1, 2.5],
    "mixed": ["a", 1],
    "by_name": {"x": {"low": 2, "high": 3}},
    "many": [{"a": 1}, {}],
}
EVERYTHING = Everything(
    text="a",
    whole=1,
    number=2.0,
    flag=True,
    path=Path("a/b"),
    choice="on",
    nested=Range(low=1),
    admits_none=0.5,
    either="batch",
    texts=("a", "b"),
    pair=(1.0, 2.5),
    mixed=("a", 1),
    by_name={"x": Range(low=2, high=3)},
    many=({"a": 1}, {}),
)
STRICT = Reader(RefusedError, unknown="refuse")
LENIENT = Reader(RefusedError, unknown="ignore", hint="copy it again")


def changed(**values: object) -> dict[str, object]:
    return {**VALUES, **values}


def test_every_annotation_is_read() -> None:
    read = STRICT.read(Everything, dict(VALUES), "place")
    assert read == EVERYTHING
    assert type(read.number) is float
    assert STRICT.read_json(Everything, json.dumps(VALUES), "place") == EVERYTHING


def test_tuples_are_as_good_as_lists() -> None:
    assert STRICT.read(Everything, changed(texts=("a", "b"), pair=(1.0, 2.5)), "place") == EVERYTHING


def test_none_is_a_value_where_it_is_admitted_and_counts_as_left_out_elsewhere() -> None:
    read = STRICT.read(Everything, changed(admits_none=None, with_default=None, made=None), "place")
    assert (read.admits_none, read.with_default, read.made) == (None, None, {})
    with pytest.raises(RefusedError, match="place lacks the field 'text'"):
        STRICT.read(Everything, changed(text=None), "place")


def test_what_is_left_out_takes_its_default_or_none() -> None:
    values = dict(VALUES)
    del values["admits_none"]
    read = STRICT.read(Everything, values, "place")
    assert (read.admits_none, read.with_default) == (None, 3)


@pytest.mark.parametrize("name", sorted(VALUES.keys() - {"admits_none"}))
def test_a_field_without_a_default_must_be_there(name: str) -> None:
    values = dict(VALUES)
    del values[name]
    with pytest.raises(RefusedError, match=f"^place lacks the field '{name}'$"):
        LENIENT.read(Everything, values, "place")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": 3}, "place: text must be text, found 3"),
        ({"whole": True}, "place: whole must be a whole number, found True"),
        ({"whole": 1.0}, "place: whole must be a whole number, found 1.0"),
        ({"number": False}, "place: number must be a number, found False"),
        ({"number": "1"}, "place: number must be a number, found '1'"),
        ({"number": 10**400}, "place: number must be a number that a float can hold, found 1000"),
        ({"flag": 1}, "place: flag must be true or false, found 1"),
        ({"path": 1}, "place: path must be a path, found 1"),
        ({"choice": True}, "place: choice must be 'on' or 'off', found True"),
        ({"admits_none": "x"}, "place: admits_none must be a number, found 'x'"),
        ({"either": 1.5}, "place: either must be a whole number or text, found 1.5"),
        ({"texts": "ab"}, "place: texts must be a list of texts, found 'ab'"),
        ({"texts": ["a", 2]}, "place: texts[1] must be text, found 2"),
        ({"pair": [1]}, "place: pair must be a list of 2 numbers, found [1]"),
        ({"pair": [1, "x"]}, "place: pair[1] must be a number, found 'x'"),
        ({"mixed": [1]}, "place: mixed must be a list of 2 values: text, a whole number, found [1]"),
        ({"nested": 3}, "place: nested must be an object, found 3"),
        ({"nested": {}}, "place: nested lacks the field 'low'"),
        ({"nested": {"low": "1"}}, "place: nested.low must be a whole number, found '1'"),
        ({"nested_or_none": {"low": []}}, "place: nested_or_none.low must be a whole number, found []"),
        ({"by_name": {"x": {"low": None}}}, "place: by_name.x lacks the field 'low'"),
        ({"by_name": []}, "place: by_name must be an object, found []"),
        ({"many": [{}, {"a": 1.5}]}, "place: many[1].a must be a whole number, found 1.5"),
        ({"nested": {"low": 10}}, "place: nested: low must be at most high, found 10 and 9"),
        ({"nested": {"lo": 1}}, "place: nested has the unknown field 'lo'; known: low, high"),
    ],
)
def test_an_error_names_the_path_the_value_and_what_was_expected(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        STRICT.read(Everything, changed(**values), "place")
    assert caught.value.message.startswith(message)


def test_the_value_in_an_error_is_cut_short() -> None:
    with pytest.raises(RefusedError) as caught:
        STRICT.read(Everything, changed(whole="x" * 1000), "place")
    assert len(caught.value.message) < 150


def test_a_value_that_is_nested_too_deep_to_be_written_is_named_by_its_type() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RefusedError, match="place: whole must be a whole number, found a list"):
        STRICT.read(Everything, changed(whole=nested), "place")


def test_a_document_that_is_not_an_object_is_named_alone() -> None:
    with pytest.raises(RefusedError, match=r"^place must be an object, found \[\]$"):
        STRICT.read(Range, [], "place")
    with pytest.raises(RefusedError, match=r"^place must be a table, found 3$"):
        Reader(RefusedError, unknown="refuse", table="table").read(Range, 3, "place")


def test_the_nearest_name_is_a_hint() -> None:
    with pytest.raises(RefusedError) as caught:
        STRICT.read(Range, {"hgh": 1}, "place")
    assert caught.value.hint == "did you mean 'high'?"
    with pytest.raises(RefusedError) as caught:
        STRICT.read(Everything, changed(choice="of"), "place")
    assert caught.value.hint == "did you mean 'off'?"


def test_unknown_names_are_ignored_where_they_are_not_refused() -> None:
    assert LENIENT.read(Range, {"low": 1, "colour": "blue"}, "place") == Range(low=1)


def test_the_readers_own_hint_goes_to_errors_without_one() -> None:
    with pytest.raises(RefusedError) as caught:
        LENIENT.read(Range, {}, "place")
    assert caught.value.hint == "copy it again"


def test_json_may_hold_nan_and_infinity() -> None:
    read = LENIENT.read_json(Everything, json.dumps(changed(number=math.inf, admits_none=math.nan)), "place")
    assert read.number == math.inf
    assert read.admits_none is not None
    assert math.isnan(read.admits_none)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"low": ' + "1" * 5000 + "}"])
def test_what_is_not_json_is_the_callers_error(text: str) -> None:
    with pytest.raises(RefusedError, match=r"^place is not valid JSON: ") as caught:
        LENIENT.read_json(Range, text, "place")
    assert caught.value.hint == "copy it again"


def test_a_converter_reads_an_annotation_that_has_a_form_of_its_own() -> None:
    def split(value: object) -> Range:
        if not isinstance(value, str):
            raise MisfitError.of(value, "two numbers with a dash")
        low, high = value.split("-")
        return Range(low=int(low), high=int(high))

    reader = Reader(RefusedError, unknown="refuse", converters={Range: split})
    assert reader.read(Everything, changed(nested="1-3", by_name={"x": "2-3"}), "place").nested == Range(
        low=1, high=3
    )
    with pytest.raises(RefusedError, match="place: nested must be two numbers with a dash, found 3"):
        reader.read(Everything, changed(nested=3), "place")
    with pytest.raises(RefusedError, match="place: nested: low must be at most high, found 3 and 1"):
        reader.read(Everything, changed(nested="3-1"), "place")


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    updated = STRICT.update(EVERYTHING, {"whole": 7, "nested": {"high": 5}}, "place")
    assert (updated.whole, updated.nested, updated.text) == (7, Range(low=1, high=5), "a")
    with pytest.raises(RefusedError, match=r"place: nested.high must be a whole number, found 'x'"):
        STRICT.update(EVERYTHING, {"nested": {"high": "x"}}, "place")
    with pytest.raises(RefusedError, match=r"^nested has the unknown field 'hgh'"):
        STRICT.update(EVERYTHING, {"nested": {"hgh": 1}}, "")


def test_an_annotation_without_a_rule_is_a_mistake_of_the_program() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd:
        values: set[str]

    with pytest.raises(TypeError, match=r"set\[str\]"):
        STRICT.read(Odd, {"values": []}, "place")
