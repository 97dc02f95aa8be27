"""Masked words in English text."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from demo.bigbench import Bigbench
from demo.documents import MEMBERS as DOCUMENT_MEMBERS
from demo.documents import Document, documents, sentences
from demo.encoder import vocabulary
from demo.split import Example, Sizes, Splits, digest, seed_of, split

MEMBERS = DOCUMENT_MEMBERS
SIZES = Sizes(evaluation=1600, calibration=256, development=400, per_group=3)
MASK = "[MASK]"
MASKED_SHARE = 0.15
FEWEST_WORDS = 15
MOST_WORDS = 90

_WORD = re.compile(r"(?<![\w'’-])[A-Za-z]+(?![\w'’-])")


def build(source: Bigbench) -> Splits:
    """Passages of whole sentences, up to 90 words, split by document; only the training set is not masked."""
    single_pieces = vocabulary()
    passages = split((example for document in documents(source) for example in _passages(document)), SIZES)

    def masked(examples: tuple[Example, ...]) -> tuple[Example, ...]:
        records = ((example, _masked(str(example.record["text"]), single_pieces)) for example in examples)
        return tuple(replace(example, record=record) for example, record in records)

    return Splits(
        train=passages.train,
        development=masked(passages.development),
        evaluation=masked(passages.evaluation),
        calibration=masked(passages.calibration),
    )


def _passages(document: Document) -> Iterator[Example]:
    fingerprints = document.fingerprints
    group = digest(document.text)
    passage: list[str] = []
    for sentence in (*sentences(document.text), None):
        words = [] if sentence is None else sentence.split()
        if sentence is None or len(passage) + len(words) > MOST_WORDS:
            if FEWEST_WORDS <= len(passage) <= MOST_WORDS:
                yield Example(record={"text": " ".join(passage)}, group=group, texts=fingerprints)
            passage = []
        passage += words


def _masked(text: str, single_pieces: frozenset[str]) -> dict[str, object]:
    candidates = [match for match in _WORD.finditer(text) if match[0].lower() in single_pieces]
    count = max(1, round(MASKED_SHARE * len(text.split())))
    random = np.random.default_rng(seed_of(text))
    order = random.permutation(len(candidates))[:count]
    chosen = [candidates[int(index)] for index in sorted(order)]
    pieces: list[str] = []
    end = 0
    for match in chosen:
        pieces += [text[end : match.start()], MASK]
        end = match.end()
    return {"text": "".join([*pieces, text[end:]]), "targets": [match[0].lower() for match in chosen]}
