"""One line of a JSONL file. Its errors name the file, the line, the field and the value."""

import difflib
import math
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from validation.errors import DataError

SCHEMAS = "the schemas of all heads are in validation/README.md"

LARGEST = 1e38
"""The largest number of the data: a model's are float32, which ends at 3.4e38, and statistics need finite squares."""
SMALLEST = 1e-38
"""A number of the data that is nearer to 0 is 0: float32 loses its digits there, and errors are divided by the labels'
spread."""


class Record:
    """The JSON object on one line. Every method that reads a field raises DataError for a value that does not fit."""

    def __init__(self, fields: Mapping[str, object], path: Path, line: int) -> None:
        self.fields = fields
        self.path = path
        self.line = line

    @property
    def place(self) -> str:
        """The file and the line, for messages."""
        return f"{self.path}:{self.line}"

    def error(self, problem: str, *, hint: str = SCHEMAS) -> DataError:
        """A DataError whose message begins with this record's place."""
        return DataError(f"{self.place}: {problem}", hint=hint)

    def invalid(self, field: str, value: object, expected: str) -> DataError:
        """A DataError that says that `field` has `value` and must be `expected`."""
        return self.error(f"field {field!r} must be {expected}, found {value!r:.80}")

    def has(self, field: str) -> bool:
        """Whether the field is there and is not null."""
        return self.fields.get(field) is not None

    def value(self, field: str) -> object:
        """The field's value, whatever its type."""
        if field not in self.fields:
            raise self.error(f"lacks the field {field!r}")
        return self.fields[field]

    def text(self, field: str) -> str:
        """A string that is not blank."""
        value = self.value(field)
        if not isinstance(value, str) or not value.strip():
            raise self.invalid(field, value, "text that is not blank")
        return value

    def optional_text(self, field: str) -> str | None:
        """A string that is not blank; None where the field is absent or null."""
        return self.text(field) if self.has(field) else None

    def texts(self, field: str, *, at_least: int = 1) -> tuple[str, ...]:
        """A list of strings that are not blank."""
        value = self.value(field)
        if not isinstance(value, list) or len(value) < at_least:
            raise self.invalid(field, value, f"a list of at least {at_least} texts")
        for index, entry in enumerate(value):
            if not isinstance(entry, str) or not entry.strip():
                raise self.invalid(f"{field}[{index}]", entry, "text that is not blank")
        return tuple(value)

    def index(self, field: str, count: int) -> int:
        """A whole number from 0 to `count` - 1."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
            raise self.invalid(field, value, f"a whole number from 0 to {count - 1}")
        return value

    def number(self, field: str) -> float:
        """A finite number, at most LARGEST without its sign; 0 for one below SMALLEST."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.invalid(field, value, "a finite number")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.invalid(field, value, "a finite number")
        if abs(value) > LARGEST:
            raise self.error(
                f"field {field!r} must be a number from -{LARGEST:g} to {LARGEST:g}, found {value!r:.80}",
                hint="a model cannot give larger numbers; scale the labels as they were for its training",
            )
        return float(value) if abs(value) >= SMALLEST else 0.0

    def label(self, field: str, value: object, labels: tuple[str, ...]) -> int:
        """The index of the label `value`, which is a name in `labels` or an index.

        The error for a name that is not among them lists the labels and suggests the nearest. The name of several
        labels is an error, and so is a number that is one label's name and another one's index, as where the names are
        "1" to "5".
        """
        if isinstance(value, str) and value in labels:
            self._check_unique(field, value, labels, "give the index in place of the name")
            return labels.index(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if (name := str(value)) in labels:
                self._check_unique(
                    field, name, labels, "give the labels names of their own in config.json's id2label"
                )
            if name in labels and labels.index(name) != value:
                raise self.error(
                    f"field {field!r} has the number {value}; the label called {name!r} has the index "
                    f"{labels.index(name)}",
                    hint=f'write "{name}" if you mean the name; else give the names of all labels in place of indices',
                )
            if 0 <= value < len(labels):
                return value
            raise self.invalid(field, value, f"a label's name, or a whole number from 0 to {len(labels) - 1}")
        if not isinstance(value, str):
            raise self.invalid(field, value, "one label's name or index")
        raise self.error(
            f"field {field!r} has the unknown label {value!r:.80}; the model's labels are {listed(labels)}",
            hint=_nearest(value, labels),
        )

    def _check_unique(self, field: str, name: str, labels: tuple[str, ...], hint: str) -> None:
        """Raise DataError where several of `labels` are called `name`."""
        indices = [index for index, label in enumerate(labels) if label == name]
        if len(indices) > 1:
            several = f"{listed(tuple(map(str, indices[:-1])))} and {indices[-1]}"
            raise self.error(f"field {field!r} has {name!r:.80}, the name of labels {several}", hint=hint)

    def label_set(self, field: str, labels: tuple[str, ...]) -> frozenset[int]:
        """The indices of several labels: a list of names or indices, or of a 0 or 1 for each of `labels`.

        As many 0s and 1s as there are labels are one for each, as in transformers' data for several labels.
        """
        value = self.value(field)
        if not isinstance(value, list):
            raise self.invalid(
                field,
                value,
                f"a list of labels or of {len(labels)} numbers 0 and 1, because the model gives several labels to a "
                "text",
            )
        if len(value) == len(labels) and all(
            entry in (0, 1) and not isinstance(entry, str) for entry in value
        ):
            return frozenset(index for index, entry in enumerate(value) if entry)
        once = f"a list of labels, each once, or of a 0 or 1 for each of the model's {len(labels)} labels"
        numbers = [entry for entry in value if isinstance(entry, int) and not isinstance(entry, bool)]
        if len(numbers) != len(set(numbers)):
            raise self.invalid(field, value, once)
        indices = [self.label(f"{field}[{index}]", entry, labels) for index, entry in enumerate(value)]
        if len(indices) != len(set(indices)):
            raise self.invalid(field, value, once)
        return frozenset(indices)


def _nearest(value: str, labels: tuple[str, ...]) -> str:
    """A hint that suggests the label that `value` may mean, or says where the labels are."""
    for label in labels:
        if _nfc(label) == _nfc(value):
            # Both look the same where they are printed
            return f"did you mean {label!r}? The model writes it {label!a}, and the data {value!a}"
    alike = [label for label in labels if _caseless(label) == _caseless(value)]
    near = alike or difflib.get_close_matches(value, labels, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "the labels are id2label in config.json"


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _caseless(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def listed(names: tuple[str, ...], most: int = 20) -> str:
    """`names` for a message: the first `most`, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
