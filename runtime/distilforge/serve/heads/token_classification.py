"""Texts with their entities."""

from collections.abc import Mapping
from typing import ClassVar

from distilforge.heads.token_classification import Entity
from distilforge.serve.adapter import Adapter, Json
from distilforge.serve.heads import adapters


@adapters.register("token_classification")
class TokenClassificationAdapter(Adapter):
    """A list of entities for each text."""

    example: ClassVar[Json] = "A text."
    task = "token-classification"

    def input(self, value: Json, where: str) -> object:
        return value

    def task_options(self, parameters: Mapping[str, Json]) -> dict[str, Json]:
        options = dict(parameters)
        if "aggregation_strategy" in options:
            options["aggregation"] = options.pop("aggregation_strategy")
        return options

    def task_answers(self, answers: list[object], options: Mapping[str, Json], *, single: bool) -> Json:
        # As transformers calls the label of a token, and that of a group of tokens
        name = "entity" if options.get("aggregation") == "none" else "entity_group"
        entities = [
            [_entity(entity, name) for entity in answer] for answer in answers if isinstance(answer, tuple)
        ]
        return entities[0] if single else entities


def _entity(entity: Entity, name: str) -> dict[str, Json]:
    return {
        name: entity.label,
        "score": entity.score,
        "word": entity.word,
        "start": entity.start,
        "end": entity.end,
    }
