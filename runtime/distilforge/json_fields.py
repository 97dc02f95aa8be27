"""Typed reading of JSON objects, with errors that name the field."""

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

from distilforge.errors import ReleaseError

T = TypeVar("T")


class Fields:
    """One JSON object of a document; every getter names the field's whole path when the value does not fit."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise ReleaseError(f"{path} must be a JSON object, found {type(value).__name__}")
        self.value: dict[str, object] = value
        self.path = path

    @classmethod
    def parse(cls, text: str, path: str) -> "Fields":
        """The object in `text`; ReleaseError where it is not JSON."""
        try:
            return cls(json.loads(text), path)
        except (json.JSONDecodeError, RecursionError) as cause:
            raise ReleaseError(
                f"{path} is not valid JSON: {cause}", hint="publish or copy the release again"
            ) from cause

    def keys(self) -> tuple[str, ...]:
        return tuple(self.value)

    def has(self, name: str) -> bool:
        return self.value.get(name) is not None

    def _get(self, name: str, kinds: tuple[type, ...]) -> object:
        if name not in self.value:
            raise ReleaseError(f"{self.path} lacks the field {name!r}")
        value = self.value[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise ReleaseError(f"{self.path}.{name} must be {expected}, found {value!r:.80}")
        return value

    def text(self, name: str) -> str:
        return str(self._get(name, (str,)))

    def integer(self, name: str) -> int:
        value = self._get(name, (int,))
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        value = self._get(name, (int, float))
        assert isinstance(value, (int, float))
        return float(value)

    def flag(self, name: str) -> bool:
        return bool(self._get(name, (bool,)))

    def nested(self, name: str) -> "Fields":
        return Fields(self._get(name, (dict,)), f"{self.path}.{name}")

    def list(self, name: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """Each entry of the list `name`, through `read(value, path)`."""
        values = self._get(name, (list,))
        assert isinstance(values, list)
        return tuple(read(value, f"{self.path}.{name}[{index}]") for index, value in enumerate(values))

    def map(self, name: str, read: Callable[[object, str], T]) -> Mapping[str, T]:
        """Each value of the object `name`, through `read(value, path)`."""
        values = self._get(name, (dict,))
        assert isinstance(values, dict)
        return {key: read(value, f"{self.path}.{name}.{key}") for key, value in values.items()}


def read_text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise ReleaseError(f"{path} must be text, found {value!r:.80}")
    return value


def read_number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ReleaseError(f"{path} must be a number, found {value!r:.80}")
    return float(value)


def read_dimension(value: object, path: str) -> int | str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ReleaseError(f"{path} must be a number or an axis name, found {value!r:.80}")
    return value
