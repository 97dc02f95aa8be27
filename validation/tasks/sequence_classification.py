"""Classification of a whole text with one label, several or a number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from distilforge.probabilities import sigmoid

from validation import metrics
from validation.metrics import Array, Indices, Score
from validation.record import Record
from validation.tasks.base import Answers, Example, Outputs, Row, Served, Task, encoded, probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedText(Example):
    """A text, or a pair, and its truth: a number, or one 0/1 per label of the model."""

    text: str
    text_pair: str | None
    truth: float | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceClassification(Task[ClassifiedText]):
    """Accuracy (single label), micro F1 (several) or R2 (a number) is what the gate looks at."""

    required = frozenset({"text", "label"})
    optional = frozenset({"text_pair"})
    classifies = True

    @property
    def kind(self) -> str:
        """The problem type; where config.json names none, one label is regression, as in transformers."""
        usual = "regression" if len(self.labels) == 1 else "single_label_classification"
        return self.problem_type or usual

    def parse(self, record: Record) -> ClassifiedText:
        truth = self._truth(record) if self.labelled else ()
        return ClassifiedText(
            place=record.place,
            text=record.text("text"),
            text_pair=record.optional_text("text_pair"),
            truth=truth,
        )

    def _truth(self, record: Record) -> float | tuple[int, ...]:
        value = record.value("label")
        if self.kind == "regression":
            if len(self.labels) != 1:
                raise record.error(
                    f"a regression of {len(self.labels)} numbers cannot be evaluated, only of one"
                )
            return record.number("label")
        if self.kind == "multi_label_classification":
            if not isinstance(value, list):
                raise record.misfit(
                    "label", value, "a list of labels, since the model gives several labels a text"
                )
            named = {record.label("label", label, self.labels) for label in value}
        elif isinstance(value, int) and not isinstance(value, bool):
            named = {record.index("label", len(self.labels))}
        elif isinstance(value, str):
            named = {record.label("label", value, self.labels)}
        else:
            raise record.misfit(
                "label", value, "one label's name or index, since the model gives one label a text"
            )
        return tuple(int(index in named) for index in range(len(self.labels)))

    def rows(self, example: ClassifiedText, index: int, served: Served) -> tuple[Row, ...]:
        text = example.text if example.text_pair is None else (example.text, example.text_pair)
        encoding, shortened = encoded(text, served)
        return (Row(example=index, encodings=(encoding,), shortened=shortened),)

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        return outputs["logits"].astype(np.float64)

    def told(self, row: Row, outputs: Outputs) -> Array:
        if self.kind == "regression":
            return outputs["logits"].astype(np.float64)
        if self.kind == "multi_label_classification":
            return sigmoid(outputs["logits"]).astype(np.float64)
        return probabilities(outputs["logits"])

    def change(self, told: Array, again: Array) -> float:
        # A number has no scale of its own: relative to itself where it is large.
        scale = np.maximum(1.0, np.abs(told)) if self.kind == "regression" else 1.0
        return float((np.abs(told - again) / scale).max())

    def scores(
        self, examples: Sequence[ClassifiedText], answers: Answers, eager: Answers, served: Served
    ) -> tuple[Score, ...]:
        logits_NL = np.stack(answers.of_part(0))
        truth = np.asarray([example.truth for example in examples], dtype=np.float64)
        if self.kind == "regression":
            return metrics.r2("R2", logits_NL[:, 0], truth), metrics.pearson(
                "Pearson r", logits_NL[:, 0], truth
            )
        if self.kind == "multi_label_classification":
            chosen_NL = (logits_NL > 0).astype(np.float64)  # a probability above one half
            exact_N = (chosen_NL == truth).all(axis=1).astype(np.float64)
            counts = ((chosen_NL * truth).sum(axis=1), chosen_NL.sum(axis=1), truth.sum(axis=1))
            return metrics.micro_f1("micro F1", *counts), metrics.mean("exact match", exact_N)
        predicted_N, actual_N = logits_NL.argmax(axis=1), truth.argmax(axis=1)
        correct_N = (predicted_N == actual_N).astype(np.float64)
        return (
            metrics.mean("accuracy", correct_N),
            metrics.macro_f1("macro F1", predicted_N, actual_N, len(self.labels)),
        )

    def decisions(self, examples: Sequence[ClassifiedText], answers: Answers, served: Served) -> Indices:
        logits_NL = np.stack(answers.of_part(0))
        if self.kind == "regression":
            return np.zeros(0, dtype=np.int64)
        if self.kind == "multi_label_classification":
            return (logits_NL > 0).astype(np.int64).ravel()
        best_N: Indices = logits_NL.argmax(axis=1)
        return best_N
