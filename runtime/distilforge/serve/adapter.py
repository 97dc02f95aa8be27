"""Between JSON and a head's session: one file per head in distilforge.serve.heads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar

import numpy as np

from distilforge.errors import InputError

Json = object
"""A value of JSON: None, bool, int, float, str, or a list or dict of such values."""


class Adapter(ABC):
    """How a head is asked and answers in JSON."""

    example: ClassVar[Json]
    """An input of `/answer`, for the documentation."""
    task: ClassVar[str] = ""
    """The head's task on the Hugging Face hub; empty if there is none."""

    @abstractmethod
    def input(self, value: Json, where: str) -> object:
        """What the session is called with for an input of `/answer`.

        Raises InputError for a value of another shape; `where` names it. The session checks the texts.
        """

    def answer(self, answer: object) -> Json:
        """The session's typed result in JSON, with the names of its fields."""
        return to_json(answer)

    def task_options(self, parameters: Mapping[str, Json]) -> dict[str, Json]:
        """The options of the session's call for the `parameters` of the Hugging Face task; by default the same."""
        return dict(parameters)

    def task_answers(self, answers: list[object], options: Mapping[str, Json], *, single: bool) -> Json:
        """The result of the Hugging Face task, for the `options` of the call; `single` tells one input from a list."""
        raise InputError(
            "this head has no task on the Hugging Face hub", hint="POST /answer answers every head"
        )


def to_json(value: object) -> Json:
    """Dataclasses as objects, tuples as lists and arrays as nested lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [to_json(entry) for entry in value]
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)  # type: ignore[call-overload]
    return value


def text_or_pair(value: Json, where: str) -> object:
    """A text, or the pair of an object with `text` and `text_pair`."""
    if isinstance(value, dict):
        entries = fields_of(value, where, required=("text",), optional=("text_pair",))
        pair = entries.get("text_pair")
        return entries["text"] if pair is None else (entries["text"], pair)
    return value


def check_direction(value: Json) -> None:
    """Raise InputError if the `truncation_direction` of a request is another than the release's."""
    if str(value or "right").lower() != "right":
        raise InputError(
            f"truncation_direction cannot be {value!r:.80}",
            hint="the release's tokenizer decides; leave it out",
        )


def fields_of(
    value: Json, where: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Mapping[str, Json]:
    """`value` if it is an object with these fields; otherwise raises InputError, which names it as `where`."""
    known = (*required, *optional)
    if not isinstance(value, dict):
        raise InputError(
            f"{where} must be an object with {', '.join(known)}, found {type(value).__name__}: {value!r:.80}",
            hint="GET /openapi.json has an example",
        )
    for name in required:
        if name not in value:
            found = f"it has {', '.join(value)!r:.80}" if value else "it is empty"
            raise InputError(f"{where} has no {name!r}", hint=found)
    for name in value:
        if name not in known:
            raise InputError(
                f"{where} has the unknown field {name!r:.80}", hint=f"known are {', '.join(known)}"
            )
    return value
