"""Contexts with the option that fits best."""

from typing import ClassVar

from distilforge.errors import InputError
from distilforge.serve.adapter import Adapter, Json, fields_of
from distilforge.serve.heads import adapters


@adapters.register("multiple_choice")
class MultipleChoiceAdapter(Adapter):
    """The chosen option, with the score of every option; the hub has no such task."""

    example: ClassVar[Json] = {"context": "A context.", "choices": ["One option.", "Another option."]}

    def input(self, value: Json, where: str) -> object:
        entries = fields_of(value, where, required=("context", "choices"))
        choices = entries["choices"]
        if not isinstance(choices, list):
            raise InputError(
                f"the choices of {where} must be a list, found {choices!r:.80}",
                hint='["One option.", "Another."]',
            )
        return entries["context"], choices
