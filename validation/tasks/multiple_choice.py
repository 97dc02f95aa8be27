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
    """Accuracy of the choice with the highest score."""

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
        labels_N = np.asarray([example.label for example in examples], dtype=np.int64)
        correct_N = (self.decisions(examples, answers, reader) == labels_N).astype(np.float64)
        return (metrics.mean("accuracy", correct_N),)

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
            metrics.brier(
                probabilities(array.astype(np.float32))[None], np.eye(len(array))[None, example.label]
            )
            for example, array in zip(examples, answers.of_part(0), strict=True)
        ]
        return metrics.mean(BRIER, np.concatenate(scores), higher_is_better=False)

    def decisions(self, examples: Sequence[Choice], answers: Answers, reader: ReleaseReader) -> Indices:
        # One row at a time, because examples may have different numbers of choices.
        return np.asarray([array.argmax() for array in answers.of_part(0)], dtype=np.int64)
