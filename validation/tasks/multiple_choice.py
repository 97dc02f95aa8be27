"""Choice among several continuations of a context."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from validation.errors import DataError
from validation.statistics import metrics
from validation.statistics.chance import exchanged
from validation.statistics.metrics import Array, Indices, Score
from validation.tasks.base import (
    BRIER,
    Answers,
    Example,
    Outputs,
    ReleaseReader,
    Row,
    Task,
    TextReader,
    encoded,
    probabilities,
)
from validation.tasks.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Example):
    """A context and its possible continuations."""

    context: str
    """The context."""
    choices: tuple[str, ...]
    """The possible continuations."""
    label: int
    """The index of the right one; 0 where labels are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoice(Task[Choice]):
    """Accuracy of the choice with the highest score.

    Choices that the model reads as the same tokens are one choice: it gives them the same score, so the order in which
    they stand, or rounding, would choose among them, and not what the model knows.
    """

    required = frozenset({"context", "choices", "label"})
    truths = frozenset({"label"})

    def parse(self, record: Record) -> Choice:
        choices = record.texts("choices", at_least=2)
        return Choice(
            place=record.place,
            context=record.text("context"),
            choices=choices,
            label=record.index("label", len(choices)) if self.labelled else 0,
        )

    def rows(self, example: Choice, index: int, reader: TextReader) -> tuple[Row, ...]:
        span = reader.spans["choices"]
        if len(example.choices) not in span:
            raise DataError(
                f"{example.place}: field 'choices' has {len(example.choices)} texts; "
                f"the release takes {span.low} to {span.high}",
                hint="widen the recipe's span of choices",
            )
        encodings = [encoded((example.context, choice), reader) for choice in example.choices]
        return (
            Row(
                example=index,
                encodings=tuple(encoding for encoding, _ in encodings),
                truncated=any(truncated for _, truncated in encodings),
            ),
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        return outputs["logits"].astype(np.float64)

    def scores(
        self, examples: Sequence[Choice], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        pairs = zip(examples, _in_order(answers), strict=True)
        labels_N = np.asarray([_different(row)[example.label] for example, row in pairs], dtype=np.int64)
        correct_N = (self.decisions(examples, answers, reader) == labels_N).astype(np.float64)
        return (metrics.mean("accuracy", correct_N),)

    def unjudged(self, rows: Sequence[Row]) -> str:
        alike = sum(len(set(_different(row))) == 1 for row in rows)
        cut = ", as they are cut off" if any(row.truncated for row in rows) else ""
        return (
            f"{alike:,} of {len(rows):,} questions count as answered right by any model: it reads the same tokens in "
            f"all their choices{cut}."
            if alike
            else ""
        )

    def beside_other_truths(
        self, examples: Sequence[Choice], answers: Answers
    ) -> tuple[Sequence[Choice], Answers]:
        """Every question beside the number of another one's right choice, as long as it has so many."""
        pairs = zip(examples, exchanged(len(examples)).tolist(), strict=True)
        return tuple(
            replace(example, label=examples[other].label % len(example.choices)) for example, other in pairs
        ), answers

    def calibration(self, examples: Sequence[Choice], answers: Answers) -> Score:
        scores = [
            metrics.brier(*_of_different(probabilities(array.astype(np.float32)), row, example.label))
            for example, row, array in zip(examples, _in_order(answers), answers.of_part(0), strict=True)
        ]
        return metrics.mean(BRIER, np.concatenate(scores), higher_is_better=False)

    def decisions(self, examples: Sequence[Choice], answers: Answers, reader: ReleaseReader) -> Indices:
        # One row at a time, because examples may have different numbers of choices.
        pairs = zip(_in_order(answers), answers.of_part(0), strict=True)
        return np.asarray([_different(row)[array.argmax()] for row, array in pairs], dtype=np.int64)


def _in_order(answers: Answers) -> list[Row]:
    """The rows in the examples' order, as the arrays of `Answers.of_part`."""
    return sorted(answers.rows, key=lambda row: row.example)


def _different(row: Row) -> list[int]:
    """For each choice, the index of the first one of the same tokens."""
    tokens = [encoding.ids for encoding in row.encodings]
    return [tokens.index(ids) for ids in tokens]


def _of_different(probabilities_K: Array, row: Row, label: int) -> tuple[Array, Array]:
    """The probabilities and the truth, (1, K), where choices of the same tokens have theirs together at the first."""
    first = _different(row)
    together_K = np.bincount(first, weights=probabilities_K, minlength=len(first)).astype(np.float64)
    return together_K[None], np.eye(len(first))[None, first[label]]
