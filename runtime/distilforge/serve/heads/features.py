"""Texts with their embeddings."""

from collections.abc import Mapping
from typing import ClassVar

from distilforge.serve.adapter import Adapter, Json, check_direction, text_or_pair, to_json
from distilforge.serve.heads import adapters


@adapters.register("features")
class FeaturesAdapter(Adapter):
    """One vector for a text."""

    example: ClassVar[Json] = "A text."
    task = "feature-extraction"

    def input(self, value: Json, where: str) -> object:
        return text_or_pair(value, where)

    def task_options(self, parameters: Mapping[str, Json]) -> dict[str, Json]:
        options = dict(parameters)
        check_direction(options.pop("truncation_direction", None))
        truncate = options.pop("truncate", None)
        if truncate is not None:
            options["truncation"] = "truncate" if truncate else "error"
        return options

    def task_answers(self, answers: list[object], options: Mapping[str, Json], *, single: bool) -> Json:
        return to_json(answers)
