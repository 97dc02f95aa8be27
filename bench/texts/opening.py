"""Make a row a subject of the timing engine that answers texts in batches, in a process of its own."""

from collections.abc import Callable, Sequence
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
from bench.texts.batches import Order, batches, encodings

Batches = Sequence[tuple[Ids, Ids]]
"""input_ids and attention_mask of each batch."""


class TextRunner(Runner):
    """Answers all batches of a shape in one run."""

    def __init__(self, answer: Answer, batches_of: Callable[[Shape], Batches]) -> None:
        self._answer = answer
        self._batches_of = batches_of
        self._batches: Batches = ()

    def feed(self, shape: Shape) -> None:
        self._batches = self._batches_of(shape)

    def run(self) -> None:
        for ids, mask in self._batches:
            self._answer(ids, mask)


def timing_subject(
    row: Row, name: str, threads: int, *, head: str, tokenizer: Path, most: int, order: Order
) -> Subject:
    """The subject `name`: `row` answers at most `most` texts of `head` in `order`, on `threads` threads."""
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
    answer = subjects.find(subject).open(Path(source), threads)
    read = batches(encodings(head, Path(tokenizer), most), order)
    return TextRunner(answer, lambda _: read)


def length_subject(row: Row, threads: int) -> Subject:
    """The subject of `row` that answers the texts of a shape, all of one length, as a session groups them."""
    return Subject(
        name=row.name,
        opener="bench.texts.opening:open_length_subject",
        arguments={"subject": row.subject, "source": row.source, "threads": threads},
    )


def open_length_subject(subject: str, source: str, threads: int) -> TextRunner:
    """The opener of `length_subject`, for its own process; raises what the subject's `open` raises."""
    return TextRunner(subjects.find(subject).open(Path(source), threads), _texts_of_one_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    ids: list[int]
    """The token ids."""


def _texts_of_one_length(shape: Shape) -> Batches:
    ids, _ = feeds(shape)
    return batches([_Text(ids=row) for row in np.asarray(ids).tolist()], "session")
