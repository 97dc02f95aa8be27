"""Make a row a subject of the timing engine that answers texts in batches, in a process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject

from bench.contest.base_subject import Answer
from bench.contest.rows import Row
from bench.models.shapes import feeds
from bench.subjects import subjects
from bench.texts.batches import Order, Texts, batches, read_texts


class TextRunner(Runner):
    """Encodes all texts and answers them, in one run."""

    def __init__(self, answer: Answer, texts: Texts, order: Order) -> None:
        self._answer = answer
        self._texts = texts
        self._order = order

    def feed(self, shape: Shape) -> None:
        """The texts are the same for every shape."""

    def run(self) -> None:
        for ids, mask in batches(self._texts.encodings(), self._order):
            self._answer(ids, mask)


class LengthRunner(Runner):
    """Answers token ids of one length, in the batches of a session, in one run."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._batches: Sequence[tuple[Ids, Ids]] = ()

    def feed(self, shape: Shape) -> None:
        ids, _ = feeds(shape)
        self._batches = batches([_TokenIds(ids=row) for row in np.asarray(ids).tolist()], "session")

    def run(self) -> None:
        for ids, mask in self._batches:
            self._answer(ids, mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TokenIds:
    ids: list[int]
    """The token ids of one text."""


def timing_subject(
    row: Row, name: str, threads: int, *, head: str, tokenizer: Path, most: int, order: Order
) -> Subject:
    """The subject `name`: `row` encodes and answers at most `most` texts of `head` in `order`, on `threads` threads."""
    return Subject(
        name=name,
        opener="bench.texts.opening:open_subject",
        arguments={
            "subject": row.subject,
            "source": row.source,
            "threads": threads,
            "head": head,
            "tokenizer": str(tokenizer),
            "most": most,
            "order": order,
        },
    )


def open_subject(
    subject: str, source: str, threads: int, head: str, tokenizer: str, most: int, order: Order
) -> TextRunner:
    """The opener of `timing_subject`, for its own process; raises what the subject's `open` raises."""
    return TextRunner(
        subjects.find(subject).open(Path(source), threads), read_texts(head, Path(tokenizer), most), order
    )


def length_subject(row: Row, threads: int) -> Subject:
    """The subject of `row` that answers the texts of a shape, all of one length, as a session groups them."""
    return Subject(
        name=row.name,
        opener="bench.texts.opening:open_length_subject",
        arguments={"subject": row.subject, "source": row.source, "threads": threads},
    )


def open_length_subject(subject: str, source: str, threads: int) -> LengthRunner:
    """The opener of `length_subject`, for its own process; raises what the subject's `open` raises."""
    return LengthRunner(subjects.find(subject).open(Path(source), threads))
