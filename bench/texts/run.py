"""Time subjects on real texts: each answers them in batches as they come, and in batches sorted by length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.contest.rows import Omission, Row, time_rows
from bench.texts.batches import ORDERS, Order, batches, encodings
from bench.texts.opening import timing_subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What the texts of one head took."""

    head: str
    """The head whose evaluation data the texts are."""
    shape: Shape
    """How many texts there are, and the number of tokens of the longest."""
    tokens: int
    """All tokens."""
    slots: dict[Order, int]
    """Tokens and padding, by the order of the texts."""
    names: dict[str, tuple[str, Order]]
    """The row and the order of each subject, by the subject's name."""
    timing: Timing
    """Every run over all texts."""
    omissions: tuple[Omission, ...]
    """Subjects that did not open, or died."""


def measure(
    rows: Sequence[Row],
    *,
    head: str,
    tokenizer: Path,
    most: int,
    threads: int,
    seconds: float,
    progress: Callable[[str], None],
) -> Throughput:
    """Time `rows` on at most `most` texts of `head` for `seconds`, in turns."""
    texts = encodings(head, tokenizer, most)
    shape = Shape(batch=len(texts), tokens=max(map(len, texts)))
    named = {f"{row.name}, {order}": (row, order) for row in rows for order in ORDERS}
    timing, omissions = time_rows(
        [
            timing_subject(row, name, threads, head=head, tokenizer=tokenizer, most=most, order=order)
            for name, (row, order) in named.items()
        ],
        (shape,),
        seconds,
        progress=progress,
    )
    return Throughput(
        head=head,
        shape=shape,
        tokens=sum(map(len, texts)),
        slots={order: sum(ids.size for ids, _ in batches(texts, order)) for order in ORDERS},
        names={name: (row.name, order) for name, (row, order) in named.items()},
        timing=timing,
        omissions=omissions,
    )
