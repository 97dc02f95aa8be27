"""What `web` and `node` share: which releases their JavaScript reads, and an example of an input."""

import json

from distilforge.contents import TOKENIZER

from pipeline.errors import UsageError
from pipeline.packages.base import PackageRequest

HEADS = (
    "features",
    "masked_lm",
    "multiple_choice",
    "question_answering",
    "sequence_classification",
    "token_classification",
)
"""The heads in files/javascript/heads.js."""


def check_supported(request: PackageRequest) -> None:
    """Raise UsageError if the release has a head or a tokenizer that the JavaScript does not read."""
    head = request.manifest.head
    if head not in HEADS:
        raise UsageError(
            f"a package for JavaScript does not know the head {head!r}; it knows {', '.join(HEADS)}",
            hint="add the head to pipeline/packages/files/javascript/heads.js",
        )
    model = json.loads((request.release / TOKENIZER).read_text(encoding="utf-8"))["model"]["type"]
    if model != "WordPiece":
        raise UsageError(
            f"a package for JavaScript needs a WordPiece tokenizer, and that of this release is {model!r:.80}",
            hint="package it as `tar` or `wheel`, which read every tokenizer",
        )


def example(request: PackageRequest) -> str:
    """An input of the release's head, in JavaScript."""
    inputs: dict[str, object] = {
        "multiple_choice": ["A context.", ["One option.", "Another option."]],
        "question_answering": ["A question?", "The text that holds the answer."],
        "masked_lm": "A text with a [MASK].",
    }
    return json.dumps(inputs.get(request.manifest.head, "A text."))
