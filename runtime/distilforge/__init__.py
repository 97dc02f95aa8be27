"""Run published DistilBERT releases: text in, typed results out, without torch.

import distilforge

session = distilforge.open("artifacts/sentiment")
for result in session(["great movie", "what a waste"]):
    print(result.label, result.score)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from distilforge import telemetry
from distilforge.errors import (
    BusyError,
    DistilforgeError,
    EngineError,
    InputError,
    ReleaseError,
    UnavailableError,
)

if TYPE_CHECKING:
    from distilforge.heads.features import Features
    from distilforge.heads.masked_lm import Fill, FilledMask, MaskedLanguageModel
    from distilforge.heads.multiple_choice import ChosenOption, MultipleChoice
    from distilforge.heads.question_answering import Answer, Answers, QuestionAnswering
    from distilforge.heads.sequence_classification import Classification, LabelScore, SequenceClassification
    from distilforge.heads.token_classification import Entity, TokenClassification
    from distilforge.opening.open import open_release as open
    from distilforge.session import Session

__all__ = [
    "Answer",
    "Answers",
    "BusyError",
    "ChosenOption",
    "Classification",
    "DistilforgeError",
    "EngineError",
    "Entity",
    "Features",
    "Fill",
    "FilledMask",
    "InputError",
    "LabelScore",
    "MaskedLanguageModel",
    "MultipleChoice",
    "QuestionAnswering",
    "ReleaseError",
    "SequenceClassification",
    "Session",
    "TokenClassification",
    "UnavailableError",
    "open",
]

# Here, since an application may import onnxruntime next, before it opens a release
telemetry.turn_off()

# A session needs one head. Importing all of them would take a tenth of the time to the first answer. The others are
# imported late because `python -m distilforge` cannot answer Ctrl-C before this file was read.
_NAMES = {
    "heads.features": ("Features",),
    "heads.masked_lm": ("Fill", "FilledMask", "MaskedLanguageModel"),
    "heads.multiple_choice": ("ChosenOption", "MultipleChoice"),
    "heads.question_answering": ("Answer", "Answers", "QuestionAnswering"),
    "heads.sequence_classification": ("Classification", "LabelScore", "SequenceClassification"),
    "heads.token_classification": ("Entity", "TokenClassification"),
    "session": ("Session",),
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    if name == "open":
        from distilforge.opening.open import open_release

        return open_release
    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"distilforge.{module}"), name)
    raise AttributeError(f"module 'distilforge' has no attribute {name!r}")
