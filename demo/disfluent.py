"""The disfluent questions of disfl_qa, with the SQuAD paragraphs that they are about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from demo.bigbench import Bigbench
from demo.split import normalized

UNANSWERABLE = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisfluentQuestion:
    """A question in which the speaker corrects themselves."""

    text: str
    """The question."""
    context: str
    """The paragraph of SQuAD, before tokenization."""
    answer: str
    """The answer."""


def questions(source: Bigbench) -> Iterator[DisfluentQuestion]:
    """The questions that have an answer."""
    paragraphs = {normalized(paragraph["context"]): paragraph["context"] for paragraph in source.squad()}
    for entry in source.examples("disfl_qa"):
        question, context = entry["input"].split("\ncontext:", maxsplit=1)
        if entry["target"] != UNANSWERABLE:
            yield DisfluentQuestion(
                text=untokenized(question), context=paragraphs[normalized(context)], answer=entry["target"]
            )


def untokenized(text: str) -> str:
    """`text` without the spaces that a tokenizer added around punctuation."""
    text = re.sub(r"\s+([.,;:?!%)\]])", r"\1", " ".join(text.split()))
    text = re.sub(r"([(\[$£€])\s+", r"\1", text)
    return re.sub(r"(\w) (['’–-]) (?=\w)", r"\1\2", text)


def locate(answer: str, context: str) -> slice | None:
    """Where `context` contains `answer`, whatever the spaces; None if it does not contain it as whole words."""
    pattern = r"\s*".join(re.escape(character) for character in answer if not character.isspace())
    match = re.search(rf"(?<!\w){pattern}(?!\w)", context)
    return None if match is None else slice(match.start(), match.end())
