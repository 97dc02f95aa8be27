"""What every head defines for validation: its data's schema, the inputs of an example, and the scores of answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from distilforge.logits.probabilities import softmax
from distilforge.manifest import Manifest, Span
from distilforge.tokenizer import Encoding, Text, Tokenizer

from validation.statistics.classes import ClassAnswers
from validation.statistics.metrics import Array, Indices, Score
from validation.tasks.record import Record

Floats = npt.NDArray[np.float32]
BRIER = "Brier score"
Outputs = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One line of evaluation data."""

    place: str
    """Its file and line, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a batch: an example, or a part of one."""

    example: int
    """The index of the example."""
    encodings: tuple[Encoding, ...]
    """One text, or one for each choice."""
    part: int = 0
    """Which part of the example the row is, from 0."""
    scored_positions: tuple[int, ...] = ()
    """The positions of the tokens that are scored."""
    targets: tuple[int, ...] = ()
    """What belongs to each scored position; each task says what that is."""
    truncated: bool = False
    """Whether the text was too long and lost its end, or its start where the tokenizer cuts there."""

    @property
    def tokens(self) -> int:
        """The number of tokens of the longest encoding."""
        return max(map(len, self.encodings))


class TextReader(Protocol):
    """Everything that is needed to encode texts and to pad batches as a release does."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The release's tokenizer."""

    @property
    def spans(self) -> Mapping[str, Span]:
        """The sizes that the graph takes, by axis."""

    @property
    def longest(self) -> int:
        """The largest number of tokens in one text, special tokens included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointReader:
    """Reads texts as a release of a checkpoint would, before there is a release."""

    tokenizer: Tokenizer
    """The checkpoint's tokenizer, as a release would hold it."""
    spans: Mapping[str, Span]
    """The sizes that the graph will take, by axis."""

    @property
    def longest(self) -> int:
        """The largest number of tokens in one text, special tokens included."""
        return _longest(self.spans, self.tokenizer)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReader:
    """Reads texts as a release does, and knows the release."""

    manifest: Manifest
    """The release's manifest."""
    tokenizer: Tokenizer
    """The release's tokenizer."""
    vocabulary: int
    """The number of token ids for which the model has embeddings."""

    @property
    def spans(self) -> Mapping[str, Span]:
        """The sizes that the graph takes, by axis."""
        return self.manifest.spans

    @property
    def longest(self) -> int:
        """The largest number of tokens in one text, special tokens included."""
        return _longest(self.spans, self.tokenizer)


def _longest(spans: Mapping[str, Span], tokenizer: Tokenizer) -> int:
    return min(spans["sequence"].high, tokenizer.max_tokens)


E = TypeVar("E", bound=Example)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A model's answers, reduced to what scoring needs."""

    rows: tuple[Row, ...]
    """The rows that were answered."""
    arrays: tuple[Array, ...]
    """One small array for each row, in the rows' order (`Task.reduce`)."""

    def of_part(self, part: int) -> tuple[Array, ...]:
        """The arrays of the rows that are `part` of their example, in the examples' order."""
        pairs = [
            (row.example, array)
            for row, array in zip(self.rows, self.arrays, strict=True)
            if row.part == part
        ]
        return tuple(array for _, array in sorted(pairs, key=lambda pair: pair[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(ABC, Generic[E]):
    """How one head is validated: one subclass in each module of this package, named as the head is."""

    required: ClassVar[frozenset[str]]
    """The fields that every line of labelled data must have."""
    truths: ClassVar[frozenset[str]] = frozenset()
    """Those of the required fields that say what is right; calibration data, which are only read, need none of them."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """The fields that a line may have."""
    classifies: ClassVar[bool] = False
    """Whether a decision is one of a few labels.

    Only then is the share of decisions that agree with eager PyTorch's judged. A head that chooses one word, span or
    continuation out of many chooses among near-equals: its agreement is reported, and its metric is judged.
    """
    scored_together: ClassVar[bool] = False
    """Whether an example's score depends on the other examples. If it does, a part of them cannot be scored alone."""

    labels: tuple[str, ...]
    """The model's labels."""
    problem_type: str | None = None
    """The model's problem type, as in config.json."""
    labelled: bool = True
    """Whether the labels in the data are read.

    Without them, the texts may be another model's: no label and no target is checked or kept.
    """

    @abstractmethod
    def parse(self, record: Record) -> E:
        """The example in `record`; raises DataError where a field does not fit."""

    @abstractmethod
    def rows(self, example: E, index: int, reader: TextReader) -> tuple[Row, ...]:
        """The rows of example number `index`, encoded as the release's session encodes them."""

    @abstractmethod
    def reduce(self, row: Row, outputs: Outputs) -> Array:
        """The numbers that scoring needs of the outputs of one row, which have no batch axis but keep their padding."""

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        """The scores that an application gets for one row; by default the probabilities over the last axis."""
        return probabilities(outputs["logits"])

    def score_change(self, before: Array, after: Array) -> float:
        """How much the scores of one row changed; by default the largest absolute change."""
        return float(np.abs(before - after).max(initial=0.0))

    def compared_positions(self, row: Row) -> tuple[int, ...] | None:
        """The positions of the tokens whose outputs are compared with eager PyTorch's; None for all of them."""
        return None

    def cosines(self, answers: Answers, eager: Answers) -> Array:
        """The cosine of each text's embedding with eager PyTorch's, without what is constant over the texts.

        Empty for heads that give no embedding.
        """
        return np.zeros(0)

    @abstractmethod
    def scores(
        self, examples: Sequence[E], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        """The metrics of `answers`, the primary one first; `eager` has eager PyTorch's answers to the same rows."""

    def unjudged(self, rows: Sequence[Row]) -> str:
        """What of the data in `rows` no metric is about, and why, in sentences; empty where that is nothing."""
        return ""

    def beside_other_truths(
        self, examples: Sequence[E], answers: Answers
    ) -> tuple[Sequence[E], Answers] | None:
        """The same answers beside the truths of other examples, whose score is that of chance; None without truths."""
        return None

    def class_answers(
        self, examples: Sequence[E], answers: Answers, reader: ReleaseReader
    ) -> ClassAnswers | None:
        """The answers by class; None where they have no classes."""
        return None

    def calibration(self, examples: Sequence[E], answers: Answers) -> Score | None:
        """A proper score of the probabilities; None for heads whose probabilities are not judged."""
        return None

    @abstractmethod
    def decisions(self, examples: Sequence[E], answers: Answers, reader: ReleaseReader) -> Indices:
        """The answers that an application would get, one whole number each; empty for heads that decide nothing."""


def encoded(text: Text, reader: TextReader) -> tuple[Encoding, bool]:
    """The tokens of `text`, as many as fit, and whether it had to be truncated."""
    encoding = reader.tokenizer.encode([text])[0]
    if len(encoding) <= reader.longest:
        return encoding, False
    return reader.tokenizer.truncated(text, reader.longest), True


def probabilities(logits: Floats) -> Array:
    """Probabilities along the last axis, as the runtime computes them."""
    return softmax(logits).astype(np.float64)
