"""Classify texts or pairs of texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from distilforge.checks.arguments import Truncation, check_positive, check_texts, one_or_many
from distilforge.heads import heads
from distilforge.logits.probabilities import Floats, sigmoid, softmax
from distilforge.session import Session
from distilforge.streaming import LOOK_AHEAD, stream
from distilforge.tokenizer import Text

T = TypeVar("T", bound=Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """One label with its score."""

    label: str
    """The label's name."""
    score: float
    """Its probability, from 0 to 1; for regression, the model's raw output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The labels of one text."""

    labels: tuple[LabelScore, ...]
    """The best labels, as many as `top_k` asked for, highest score first."""

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return self.labels[0].label

    @property
    def score(self) -> float:
        """The highest score."""
        return self.labels[0].score


@heads.register("sequence_classification")
class SequenceClassification(Session):
    """Classifies texts, as transformers' TextClassificationPipeline does."""

    architecture = "DistilBertForSequenceClassification"
    output_axes = {"logits": ("batch", "labels")}

    @overload
    def __call__(
        self, inputs: Text, *, top_k: int | None = 1, truncation: Truncation = "error"
    ) -> Classification: ...
    @overload
    def __call__(
        self, inputs: list[T], *, top_k: int | None = 1, truncation: Truncation = "error"
    ) -> list[Classification]: ...
    def __call__(
        self,
        inputs: Text | Sequence[Text],
        *,
        top_k: int | None = 1,
        truncation: Truncation = "error",
    ) -> Classification | list[Classification]:
        """Classify a text or a pair (text, text), or each of a list of them.

        Scores depend on `session.manifest.problem_type`: by default they are a softmax over the labels. For
        "multi_label_classification", or with a single label, each label has a sigmoid of its own. For "regression"
        the score is the model's raw output.

        Args:
            inputs: one input gives one result, a list gives a list of results in the same order.
            top_k: how many labels to return; None returns all.
            truncation: "error" refuses a text that is too long, "truncate" shortens it.

        Raises:
            InputError: an input is not text or is too long, or an option is unknown.
        """
        if top_k is not None:
            check_positive("top_k", top_k)

        def answer(values: list[object]) -> list[Classification]:
            texts = check_texts(values)
            encodings = self._encodings(texts, truncation)
            results: dict[int, Classification] = {}
            for batch in self._batches(encodings):
                logits = self._floats(batch.feeds, "logits")
                for row, row_scores in zip(batch.rows, self._scores(logits), strict=True):
                    results[row] = self._classification(row_scores, top_k)
            return [results[row] for row in range(len(texts))]

        return one_or_many(inputs, answer)

    def stream(
        self,
        inputs: Iterable[Text],
        *,
        look_ahead: int = LOOK_AHEAD,
        top_k: int | None = 1,
        truncation: Truncation = "error",
    ) -> Iterator[Classification]:
        """Answer more inputs than fit into memory, one after another, in order.

        `look_ahead` inputs at a time are taken from `inputs` and answered together; the other options are those of a
        call. InputError for an input that cannot be answered has its position, and comes after the answers before it.
        """

        def answer(values: list[Text]) -> list[Classification]:
            return self(values, top_k=top_k, truncation=truncation)

        return stream(inputs, answer, look_ahead)

    def _scores(self, logits: Floats) -> Floats:
        """The scores of (texts, labels), of the same shape."""
        problem = self.manifest.problem_type
        if problem == "regression":
            return logits
        if problem == "multi_label_classification" or len(self.labels) == 1:
            return sigmoid(logits)
        return softmax(logits)

    def _classification(self, scores: Floats, top_k: int | None) -> Classification:
        best = np.argsort(-scores, kind="stable")[:top_k]
        return Classification(
            labels=tuple(LabelScore(label=self.labels[index], score=float(scores[index])) for index in best)
        )
