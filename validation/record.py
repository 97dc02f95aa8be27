"""One line of a JSONL file, read field by field, with errors that name file, line, field and value."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path

from validation.errors import DataError

SCHEMAS = "the schemas of all heads: validation/README.md"


class Record:
    """The JSON object on one line; every getter raises DataError where the value does not fit."""

    def __init__(self, fields: Mapping[str, object], path: Path, line: int) -> None:
        self.fields = fields
        self.path = path
        self.line = line

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    def error(self, problem: str, *, hint: str = SCHEMAS) -> DataError:
        """A DataError that begins with this record's place."""
        return DataError(f"{self.place}: {problem}", hint=hint)

    def misfit(self, field: str, value: object, expected: str) -> DataError:
        """A DataError for `value`, found in `field` where `expected` belongs."""
        return self.error(f"field {field!r} must be {expected}, found {value!r:.80}")

    def has(self, field: str) -> bool:
        return self.fields.get(field) is not None

    def value(self, field: str) -> object:
        if field not in self.fields:
            raise self.error(f"lacks the field {field!r}")
        return self.fields[field]

    def text(self, field: str) -> str:
        """A string that is not blank."""
        value = self.value(field)
        if not isinstance(value, str) or not value.strip():
            raise self.misfit(field, value, "text that is not blank")
        return value

    def optional_text(self, field: str) -> str | None:
        return self.text(field) if self.has(field) else None

    def texts(self, field: str, *, at_least: int = 1) -> tuple[str, ...]:
        """A list of strings that are not blank."""
        value = self.value(field)
        if not isinstance(value, list) or len(value) < at_least:
            raise self.misfit(field, value, f"a list of at least {at_least} texts")
        for index, entry in enumerate(value):
            if not isinstance(entry, str) or not entry.strip():
                raise self.misfit(f"{field}[{index}]", entry, "text that is not blank")
        return tuple(value)

    def index(self, field: str, count: int) -> int:
        """A whole number from 0 to `count` - 1."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
            raise self.misfit(field, value, f"a whole number from 0 to {count - 1}")
        return value

    def number(self, field: str) -> float:
        """A finite number."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.misfit(field, value, "a finite number")
        return float(value)

    def label(self, field: str, value: object, labels: tuple[str, ...]) -> int:
        """The index of the label `value` in `labels`; the error lists them and names the nearest."""
        if isinstance(value, str) and value in labels:
            return labels.index(value)
        near = difflib.get_close_matches(str(value), labels, n=1, cutoff=0.5)
        raise self.error(
            f"field {field!r} has the unknown label {value!r:.80}; the model's labels: {listed(labels)}",
            hint=f"did you mean {near[0]!r}?" if near else "labels are config.json's id2label",
        )


def listed(names: tuple[str, ...], most: int = 20) -> str:
    """`names` for a message, shortened where there are more than `most`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
