"""Classification of a whole text: one label, several labels, or a number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from distilforge.logits.probabilities import sigmoid

from validation.statistics import metrics
from validation.statistics.chance import exchanged
from validation.statistics.classes import ClassAnswers
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
class ClassifiedText(Example):
    """A text, or a pair of texts, and its class."""

    text: str
    """The text, or the first of a pair."""
    text_pair: str | None
    """The second text of a pair."""
    truth: float | tuple[int, ...]
    """A number, or 0 or 1 for each label of the model; empty where labels are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceClassification(Task[ClassifiedText]):
    """The primary metric is accuracy for one label, micro F1 for several labels, and R2 for a number."""

    required = frozenset({"text", "label"})
    truths = frozenset({"label"})
    optional = frozenset({"text_pair"})
    classifies = True

    @property
    def kind(self) -> str:
        """The problem type. Without one in config.json, one label means regression, as in transformers.

        The number is then a score from 0 to 1, such as that of a cross-encoder.
        """
        default = "regression" if len(self.labels) == 1 else "single_label_classification"
        return self.problem_type or default

    def parse(self, record: Record) -> ClassifiedText:
        truth = self._truth(record) if self.labelled else ()
        return ClassifiedText(
            place=record.place,
            text=record.text("text"),
            text_pair=record.optional_text("text_pair"),
            truth=truth,
        )

    def _truth(self, record: Record) -> float | tuple[int, ...]:
        if self.kind == "regression":
            if len(self.labels) != 1:
                raise record.error(
                    f"a regression with {len(self.labels)} numbers for each text cannot be evaluated, only with one"
                )
            return record.number("label")
        if self.kind == "multi_label_classification":
            true_labels = record.label_set("label", self.labels)
        else:
            true_labels = frozenset({record.label("label", record.value("label"), self.labels)})
        return tuple(int(index in true_labels) for index in range(len(self.labels)))

    def rows(self, example: ClassifiedText, index: int, reader: TextReader) -> tuple[Row, ...]:
        text = example.text if example.text_pair is None else (example.text, example.text_pair)
        encoding, truncated = encoded(text, reader)
        return (Row(example=index, encodings=(encoding,), truncated=truncated),)

    def reduce(self, row: Row, outputs: Outputs) -> Array:
        if self.kind == "regression":
            return self._number(outputs)
        return outputs["logits"].astype(np.float64)

    def _number(self, outputs: Outputs) -> Array:
        """The number that an application gets: a sigmoid unless config.json says regression."""
        logits = outputs["logits"] if self.problem_type else sigmoid(outputs["logits"])
        return logits.astype(np.float64)

    def row_scores(self, row: Row, outputs: Outputs) -> Array:
        if self.kind == "regression":
            return self._number(outputs)
        if self.kind == "multi_label_classification":
            return sigmoid(outputs["logits"]).astype(np.float64)
        return probabilities(outputs["logits"])

    def score_change(self, before: Array, after: Array) -> float:
        # The scale of a regression's number is unknown, so the change of a large one is relative to it.
        scale = np.maximum(1.0, np.abs(before)) if self.kind == "regression" else 1.0
        return float((np.abs(before - after) / scale).max())

    def scores(
        self, examples: Sequence[ClassifiedText], answers: Answers, eager: Answers, reader: ReleaseReader
    ) -> tuple[Score, ...]:
        logits_NL = np.stack(answers.of_part(0))
        truth = np.asarray([example.truth for example in examples], dtype=np.float64)
        if self.kind == "regression":
            predicted_N = logits_NL[:, 0]
            return metrics.r2("R2", predicted_N, truth), metrics.pearson("Pearson r", predicted_N, truth)
        if self.kind == "multi_label_classification":
            chosen_NL = (logits_NL > 0).astype(np.float64)  # a probability above one half
            exact_N = (chosen_NL == truth).all(axis=1).astype(np.float64)
            counts = ((chosen_NL * truth).sum(axis=1), chosen_NL.sum(axis=1), truth.sum(axis=1))
            return metrics.micro_f1("micro F1", *counts), metrics.mean("exact match", exact_N)
        best_N, actual_N = logits_NL.argmax(axis=1), truth.argmax(axis=1)
        correct_N = (best_N == actual_N).astype(np.float64)
        return (
            metrics.mean("accuracy", correct_N),
            metrics.macro_f1("macro F1", best_N, actual_N, len(self.labels)),
        )

    def beside_other_truths(
        self, examples: Sequence[ClassifiedText], answers: Answers
    ) -> tuple[Sequence[ClassifiedText], Answers]:
        pairs = zip(examples, exchanged(len(examples)).tolist(), strict=True)
        return tuple(replace(example, truth=examples[other].truth) for example, other in pairs), answers

    def class_answers(
        self, examples: Sequence[ClassifiedText], answers: Answers, reader: ReleaseReader
    ) -> ClassAnswers | None:
        if self.kind == "regression":
            return None
        logits_NL, texts_N = np.stack(answers.of_part(0)), np.arange(len(examples))
        actual_NL = np.asarray([example.truth for example in examples], dtype=np.bool_)
        if self.kind == "multi_label_classification":
            return ClassAnswers(
                labels=self.labels,
                texts=texts_N,
                predicted=logits_NL > 0,
                actual=actual_NL,
            )
        return ClassAnswers.of_one_label(
            self.labels, texts_N, logits_NL.argmax(axis=1), actual_NL.argmax(axis=1)
        )

    def calibration(self, examples: Sequence[ClassifiedText], answers: Answers) -> Score | None:
        if self.kind == "regression":
            return None
        logits_NL = np.stack(answers.of_part(0)).astype(np.float32)
        actual_NL = np.asarray([example.truth for example in examples], dtype=np.float64)
        if self.kind == "multi_label_classification":
            # Each label is a question of its own
            scores_N = ((sigmoid(logits_NL) - actual_NL) ** 2).mean(axis=1)
        else:
            scores_N = metrics.brier(probabilities(logits_NL), actual_NL)
        return metrics.mean(BRIER, scores_N, higher_is_better=False)

    def decisions(
        self, examples: Sequence[ClassifiedText], answers: Answers, reader: ReleaseReader
    ) -> Indices:
        logits_NL = np.stack(answers.of_part(0))
        if self.kind == "regression":
            return np.zeros(0, dtype=np.int64)
        if self.kind == "multi_label_classification":
            return (logits_NL > 0).astype(np.int64).ravel()
        best_N: Indices = logits_NL.argmax(axis=1)
        return best_N
