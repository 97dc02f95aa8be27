"""Restoring punctuation and case: the labels come from the text itself."""

import re
from collections.abc import Iterator

import numpy as np

from demo.bigbench import Bigbench
from demo.documents import MEMBERS as DOCUMENT_MEMBERS
from demo.documents import Document, documents
from demo.split import Example, Sizes, Splits, digest, seed_of, split

MEMBERS = DOCUMENT_MEMBERS
SIZES = Sizes(evaluation=1600, calibration=256, development=400, per_group=3)
FEWEST_WORDS = 20
MOST_WORDS = 80

MARKS = {",": "COMMA", ";": "COMMA", ":": "COMMA", ".": "PERIOD", "!": "PERIOD", "?": "QUESTION"}

_WORD = re.compile(r"\w(?:.*\w)?", re.DOTALL)


def build(source: Bigbench) -> Splits:
    """Windows of paragraphs, articles, and the joined questions of a paragraph, split by document."""
    return split((example for document in documents(source) for example in _examples(document)), SIZES)


def label_words(text: str) -> list[tuple[str, str]]:
    """The words of `text` in lower case and without outer punctuation, each with the label that restores both.

    A label is a case and a mark: O, COMMA, PERIOD, QUESTION, CAP, CAP+COMMA, ..., UPPER+QUESTION.
    """
    pairs = []
    for raw in re.sub(r"[—…]|\s[–-]\s", " ", text).split():
        if match := _WORD.search(raw):
            pairs.append((match[0].lower(), _label(match[0], raw[match.end() :])))
    return pairs


def _label(word: str, after: str) -> str:
    letters = [character for character in word if character.isalpha()]
    upper = len(letters) > 1 and all(letter.isupper() for letter in letters)
    case = "UPPER" if upper else "CAP" if word[0].isupper() else ""
    mark = next((MARKS[character] for character in after if character in MARKS), "")
    return "+".join(part for part in (case, mark) if part) or "O"


def _examples(document: Document) -> Iterator[Example]:
    fingerprints = document.fingerprints
    group = digest(document.text)
    for text in (document.text, " ".join(document.questions)):
        words = label_words(text)
        random = np.random.default_rng(seed_of(text))
        start = 0
        while len(words) - start >= FEWEST_WORDS:
            stop = start + int(random.integers(FEWEST_WORDS, MOST_WORDS + 1))
            tokens, labels = zip(*words[start:stop], strict=True)
            yield Example(
                record={"tokens": list(tokens), "labels": list(labels)}, group=group, texts=fingerprints
            )
            start = stop
