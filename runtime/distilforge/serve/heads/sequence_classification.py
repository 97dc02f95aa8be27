"""Texts with their labels."""

from collections.abc import Mapping
from typing import ClassVar

from distilforge.heads.sequence_classification import Classification
from distilforge.serve.adapter import Adapter, Json, text_or_pair
from distilforge.serve.heads import adapters


@adapters.register("sequence_classification")
class SequenceClassificationAdapter(Adapter):
    """Labels with scores, best first."""

    example: ClassVar[Json] = "A text."
    task = "text-classification"

    def input(self, value: Json, where: str) -> object:
        return text_or_pair(value, where)

    def task_options(self, parameters: Mapping[str, Json]) -> dict[str, Json]:
        # The hub answers with all labels unless it is told how many
        return {"top_k": None, **parameters}

    def task_answers(self, answers: list[object], options: Mapping[str, Json], *, single: bool) -> Json:
        return [label_scores(answer) for answer in answers]


def label_scores(answer: object) -> Json:
    """The labels of one text as text-embeddings-inference and the hub write them."""
    assert isinstance(answer, Classification)
    return [{"label": label.label, "score": label.score} for label in answer.labels]
