"""Choice among several continuations of a context."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from validation import metrics
from validation.errors import DataError
from validation.metrics import Array, Indices, Score
from validation.record import Record
from validation.tasks.base import Answers, Example, Outputs, Row, Served, Task, encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Example):
    """A context, what may follow it, and the index of what does."""

    context: str
    choices: tuple[str, ...]
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoice(Task[Choice]):
    """Accuracy of the choice with the highest score."""

    required = frozenset({"context", "choices", "label"})

    def parse(self, record: Record) -> Choice:
        choices = record.texts("choices", at_least=2)
        return Choice(
            place=record.place,
            context=record.text("context"),
            choices=choices,
            label=record.index("label", len(choices)),
        )

    def rows(self, example: Choice, index: int, served: Served) -> tuple[Row, ...]:
        span = served.manifest.spans["choices"]
        if len(example.choices) not in span:
            raise DataError(
                f"{example.place}: field 'choices' has {len(example.choices)}; "
                f"the release takes {span.low} to {span.high}",
                hint="widen the recipe's span of choices",
            )
        encodings = [encoded((example.context, choice), served) for choice in example.choices]
        return (
            Row(
                example=index,
                encodings=tuple(encoding for encoding, _ in encodings),
                shortened=any(shortened for _, shortened in encodings),
            ),
        )

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        return outputs["logits"].astype(np.float64)

    def scores(
        self, examples: Sequence[Choice], answers: Answers, eager: Answers, served: Served
    ) -> tuple[Score, ...]:
        labels_N = np.asarray([example.label for example in examples], dtype=np.int64)
        return (
            metrics.mean(
                "accuracy", (self.decisions(examples, answers, served) == labels_N).astype(np.float64)
            ),
        )

    def decisions(self, examples: Sequence[Choice], answers: Answers, served: Served) -> Indices:
        # One row at a time: examples may offer different numbers of choices.
        return np.asarray([array.argmax() for array in answers.of_part(0)], dtype=np.int64)
