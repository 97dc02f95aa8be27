"""Make a row a subject of the timing engine that answers real texts, in a process of its own."""

from collections.abc import Sequence
from pathlib import Path

from distilforge.timing.feeds import Ids
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject

from bench.contest.base_subject import Answer
from bench.contest.rows import Row
from bench.subjects import subjects
from bench.texts.batches import Order, batches, encodings


class TextRunner(Runner):
    """Answers all batches in one run."""

    def __init__(self, answer: Answer, fed: Sequence[tuple[Ids, Ids]]) -> None:
        self._answer = answer
        self._batches = fed

    def feed(self, shape: Shape) -> None:
        """Do nothing: the batches have the shapes of their texts."""

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
    return TextRunner(answer, batches(encodings(head, Path(tokenizer), most), order))
