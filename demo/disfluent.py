"""The disfluent questions of disfl_qa, brought back to the SQuAD paragraphs that they were asked about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from demo.bigbench import Bigbench
from demo.split import normalized

UNANSWERABLE = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisfluentQuestion:
    """A question with a correction in it, SQuAD's paragraph as it was before tokenization, and the answer."""

    text: str
    context: str
    answer: str


def questions(source: Bigbench) -> Iterator[DisfluentQuestion]:
    """The answerable ones."""
    paragraphs = {normalized(paragraph["context"]): paragraph["context"] for paragraph in source.squad()}
    for entry in source.examples("disfl_qa"):
        question, context = entry["input"].split("\ncontext:", maxsplit=1)
        if entry["target"] != UNANSWERABLE:
            yield DisfluentQuestion(
                text=untokenized(question), context=paragraphs[normalized(context)], answer=entry["target"]
            )


def untokenized(text: str) -> str:
    """`text` without the spaces that a tokenizer put around its punctuation."""
    text = re.sub(r"\s+([.,;:?!%)\]])", r"\1", " ".join(text.split()))
    text = re.sub(r"([(\[$£€])\s+", r"\1", text)
    return re.sub(r"(\w) (['’–-]) (?=\w)", r"\1\2", text)


def located(answer: str, context: str) -> slice | None:
    """Where `answer` stands in `context`, spaces apart; None where it does not stand on word boundaries."""
    pattern = r"\s*".join(re.escape(character) for character in answer if not character.isspace())
    match = re.search(rf"(?<!\w){pattern}(?!\w)", context)
    return None if match is None else slice(match.start(), match.end())
