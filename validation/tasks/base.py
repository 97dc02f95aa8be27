"""What every head brings to validation: its data's schema, how an example is fed, and how answers are scored."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from distilforge.manifest import Manifest
from distilforge.probabilities import softmax
from distilforge.tokenizer import Encoding, Text, Tokenizer

from validation.metrics import Array, Indices, Score
from validation.record import Record

Floats = npt.NDArray[np.float32]
Outputs = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One line of evaluation data; `place` is its file and line, for messages."""

    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one example, or a part of one, puts into a batch.

    `encodings` is one text, or one per choice. `marks` are the token positions that are scored and `targets` the
    token ids expected there; which part of its example a row is, `part` counts.
    """

    example: int
    encodings: tuple[Encoding, ...]
    part: int = 0
    marks: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    shortened: bool = False

    @property
    def tokens(self) -> int:
        return max(map(len, self.encodings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the release under validation reads texts with; `vocabulary` is how many token ids it has embeddings for."""

    manifest: Manifest
    tokenizer: Tokenizer
    vocabulary: int

    @property
    def longest(self) -> int:
        """The most tokens one text may have, special tokens included."""
        return min(self.manifest.spans["sequence"].high, self.tokenizer.max_tokens)


E = TypeVar("E", bound=Example)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model made of each row: one small array a row, in the rows' order."""

    rows: tuple[Row, ...]
    arrays: tuple[Array, ...]

    def of_part(self, part: int) -> tuple[Array, ...]:
        """The arrays of the rows that are `part` of their example, in the examples' order."""
        found = [
            (row.example, array)
            for row, array in zip(self.rows, self.arrays, strict=True)
            if row.part == part
        ]
        return tuple(array for _, array in sorted(found, key=lambda pair: pair[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(ABC, Generic[E]):
    """How one head is validated; one subclass a module of this package, found by the module's name.

    `labels` and `problem_type` are the model's. With `labelled` False, examples of another model's data are read
    for their texts only: what belongs to that model's labels or vocabulary is neither checked nor kept.

    `classifies` says that decisions are labels out of a few, so that how many are eager's is judged. Where the best of
    many near-equals is chosen (a word, a span, a continuation), agreement is reported, and the metric judges.

    `scored_together` says that an example's score depends on which other examples there are, so that a part of them
    would be scored by another measure than all.
    """

    required: ClassVar[frozenset[str]]
    optional: ClassVar[frozenset[str]] = frozenset()
    classifies: ClassVar[bool] = False
    scored_together: ClassVar[bool] = False

    labels: tuple[str, ...]
    problem_type: str | None = None
    labelled: bool = True

    @abstractmethod
    def parse(self, record: Record) -> E:
        """The example in `record`; DataError where a field does not fit."""

    @abstractmethod
    def rows(self, example: E, index: int, served: Served) -> tuple[Row, ...]:
        """What example number `index` is fed as, encoded as the release's own session encodes it."""

    @abstractmethod
    def reduce(self, row: Row, outputs: Outputs) -> Array:
        """The little that scoring needs of one row's outputs, which have no batch axis but keep their padding."""

    def told(self, row: Row, outputs: Outputs) -> Array:
        """The numbers that an application is told of one row; by default the probabilities over the last axis."""
        return probabilities(outputs["logits"])

    def change(self, told: Array, again: Array) -> float:
        """How much the same row's numbers changed; by default the most that any of them did."""
        return float(np.abs(told - again).max(initial=0.0))

    def compared(self, row: Row) -> tuple[int, ...] | None:
        """The token positions whose outputs are held against eager's; None for all, which few heads cannot afford."""
        return None

    def cosines(self, answers: Answers, eager: Answers) -> Array:
        """Each text's cosine between the variant's embedding and eager's; empty for heads that give no embedding."""
        return np.zeros(0)

    @abstractmethod
    def scores(
        self, examples: Sequence[E], answers: Answers, eager: Answers, served: Served
    ) -> tuple[Score, ...]:
        """The metrics of `answers`, the primary one first; `eager` is the same rows answered by eager PyTorch."""

    @abstractmethod
    def decisions(self, examples: Sequence[E], answers: Answers, served: Served) -> Indices:
        """What an application would be told, as one whole number a decision; empty for heads that decide nothing."""


def encoded(text: Text, served: Served) -> tuple[Encoding, bool]:
    """`text` in as many tokens as fit, and whether it had to be shortened."""
    encoding = served.tokenizer.encode([text])[0]
    if len(encoding) <= served.longest:
        return encoding, False
    return served.tokenizer.truncated(text, served.longest), True


def probabilities(logits: Floats) -> Array:
    """Probabilities along the last axis, as the runtime computes them."""
    return softmax(logits).astype(np.float64)
