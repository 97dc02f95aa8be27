"""English text: the Wikipedia paragraphs and articles in two BIG-bench tasks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from demo.bigbench import Bigbench
from demo.split import normalized

MEMBERS = ("squad_shifts/squaddev_v1.1.json", "paragraph_segmentation/task.json")

FUNCTION_WORDS = frozenset(
    {"the", "of", "and", "in", "to", "was", "is", "a", "for", "on", "by", "with", "as"}
)
LEAST_SHARE_OF_FUNCTION_WORDS = 0.2
SHORTEST_FINGERPRINT = 30

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[\"“'(]?[A-Z0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text, with questions about it."""

    text: str
    """The text."""
    questions: tuple[str, ...]
    """The questions; most documents do not have any."""

    @property
    def fingerprints(self) -> frozenset[str]:
        """Its normalized sentences, apart from short ones: two documents that share one are not independent."""
        texts = (normalized(sentence) for sentence in (*sentences(self.text), *self.questions))
        return frozenset(text for text in texts if len(text) >= SHORTEST_FINGERPRINT)


def sentences(text: str) -> list[str]:
    """`text`, split after full stops, question and exclamation marks before a capital letter or a digit."""
    return _SENTENCE_END.split(text)


def documents(source: Bigbench) -> Iterator[Document]:
    """The paragraphs of SQuAD with their questions, and then the English articles of paragraph_segmentation."""
    for paragraph in source.squad():
        questions = tuple(dict.fromkeys(entry["question"].strip() for entry in paragraph["qas"]))
        yield Document(text=paragraph["context"].strip(), questions=questions)
    for example in source.examples("paragraph_segmentation"):
        text = " ".join(example["input"].split())
        if _is_english(text):
            yield Document(text=text, questions=())


def _is_english(text: str) -> bool:
    words = text.lower().split()
    return sum(word in FUNCTION_WORDS for word in words) >= LEAST_SHARE_OF_FUNCTION_WORDS * len(words)
