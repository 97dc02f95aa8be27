"""Texts with the tokens that fit their masks."""

from collections.abc import Mapping
from typing import ClassVar

from distilforge.heads.masked_lm import FilledMask
from distilforge.serve.adapter import Adapter, Json
from distilforge.serve.heads import adapters


@adapters.register("masked_lm")
class MaskedLanguageModelAdapter(Adapter):
    """The candidates for each mask, most probable first."""

    example: ClassVar[Json] = "A text with a [MASK]."
    task = "fill-mask"

    def input(self, value: Json, where: str) -> object:
        return value

    def task_answers(self, answers: list[object], options: Mapping[str, Json], *, single: bool) -> Json:
        texts = [_one_text(answer) for answer in answers if isinstance(answer, tuple)]
        return texts[0] if single else texts


def _one_text(masks: tuple[FilledMask, ...]) -> Json:
    """One list for a single mask, and a list for each of several, as transformers has it."""
    candidates = [
        [
            {"score": fill.score, "token": fill.token, "token_str": fill.text, "sequence": fill.sequence}
            for fill in mask.fills
        ]
        for mask in masks
    ]
    return candidates[0] if len(candidates) == 1 else candidates
