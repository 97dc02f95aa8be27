"""Time subjects on real texts, and ours on texts of one length after another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject
from distilforge.tokenizer import Encoding

from bench.contest import preparation, preparation_process
from bench.contest.conditions import conditions
from bench.contest.rows import Omission, Row, time_rows
from bench.models import checkpoint as base_checkpoint
from bench.models.release_folder import OURS
from bench.subjects import Subject as Peer
from bench.subjects import subjects
from bench.subjects.onnx_file import NAME as FILE
from bench.texts.batches import ORDERS, Order, batches, read_texts
from bench.texts.opening import length_subject, timing_subject
from pipeline.errors import UsageError
from validation.latency.conditions import physical_cores

LENGTHS = (8, 16, 32, 64, 128, 256)
"""Tokens of a text, of which all texts of a shape have as many."""
BASE = "DistilBERT-base sizes"
"""What the name of a row in these sizes has besides."""
TOKENS = 2048
"""Tokens of all texts of a length together."""
PEER_ORDERS: tuple[Order, ...] = ("arrival", "sorted", "single")
"""How a peer's users feed texts."""
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What the texts of one head took."""

    head: str
    """The head whose evaluation data the texts are."""
    shape: Shape
    """How many texts there are, and the number of tokens of the longest."""
    tokens: int
    """All tokens."""
    slots: Mapping[Order, int]
    """Tokens and padding, by the order of the texts."""
    names: Mapping[str, tuple[str, Order]]
    """The row and the order of each subject, by the subject's name; the first is what the others are compared with."""
    timing: Timing
    """Every run over all texts."""
    omissions: tuple[Omission, ...]
    """Subjects that did not open, or died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReport:
    """The result of a run."""

    heads: tuple[Throughput, ...]
    """Real texts of each head."""
    lengths: Timing
    """The first row on texts of each of `LENGTHS`, from the checkpoint and in DistilBERT-base sizes."""
    settings: Mapping[str, str]
    """How each row is set up."""
    conditions: Mapping[str, str]
    """The machine, the versions and the date, by name."""
    omissions: tuple[Omission, ...]
    """Rows that could not be prepared."""

    @property
    def steady(self) -> bool:
        """Whether the machine was steady all the time."""
        return all(
            timing.steadiness.steady for timing in (self.lengths, *(head.timing for head in self.heads))
        )


def run(
    files: Sequence[Row],
    names: Sequence[str],
    *,
    heads: Sequence[str],
    checkpoint: Path,
    cache: Path,
    base_cache: Path,
    install: str,
    most: int,
    threads: int,
    seconds: float,
    progress: Progress,
) -> TextReport:
    """Time `files` and then the subjects `names` on at most `most` texts of each of `heads`, for `seconds` each.

    Subjects are prepared from `checkpoint`, a folder with tokenizer.json, in `cache`. The first one is prepared in
    DistilBERT-base sizes too, in `base_cache`, unless it is one of `files`. Raises UsageError for an unknown
    head or subject and where nothing can be timed, and DataError or ReleaseError if the data or the tokenizer cannot be
    read.
    """
    wanted = [subjects.find(name) for name in names]
    _check_any((*files, *wanted))
    texts = {head: read_texts(head, checkpoint, most).encodings() for head in heads}
    cache.mkdir(parents=True, exist_ok=True)

    def prepare(chosen: Sequence[Peer], source: Path, place: Path) -> tuple[list[Row], list[Omission]]:
        once = partial(
            preparation.prepare_once,
            registry=preparation_process.CPU,
            checkpoint=source,
            cache=place,
            progress=progress,
        )
        return preparation.prepare_all(chosen, once, install=install, progress=progress)

    prepared, omissions = prepare(wanted, checkpoint, cache)
    rows = (*files, *prepared)
    _check_any(rows)
    by_length = [rows[0]]
    if rows[0] in prepared:
        first = [subject for subject in wanted if subject.name == rows[0].subject]
        in_base_sizes, left_out = prepare(first, base_checkpoint.write_once(base_cache), base_cache)
        by_length += [replace(row, name=f"{row.name}, {BASE}") for row in in_base_sizes]
        omissions += left_out
    measured = []
    for head, read in texts.items():
        progress(f"texts of {head}")
        subject = partial(timing_subject, threads=threads, head=head, tokenizer=checkpoint, most=most)
        measured.append(measure(rows, head, read, subject=subject, seconds=seconds, progress=progress))
    progress(f"texts of {LENGTHS[0]} to {LENGTHS[-1]} tokens")
    lengths, dead = time_rows(
        [length_subject(row, threads) for row in by_length],
        [Shape(batch=TOKENS // length, tokens=length) for length in LENGTHS],
        seconds / len(LENGTHS),
        progress=progress,
    )
    return TextReport(
        heads=tuple(measured),
        lengths=lengths,
        settings={row.name: row.settings for row in rows},
        conditions=conditions(
            [subjects.find(row.subject) for row in rows],
            {
                "cores": str(physical_cores()),
                "threads": str(threads),
                "model": f"sequence classification, from {checkpoint}",
                "texts": f"the first {most} of each head's evaluation data, or all where there are fewer",
            },
        ),
        omissions=(*omissions, *dead),
    )


def _check_any(subjects_or_rows: Sequence[object]) -> None:
    if not subjects_or_rows:
        raise UsageError("there is nothing to time", hint="name a FILE.onnx, or subjects with --subjects")


def measure(
    rows: Sequence[Row],
    head: str,
    texts: Sequence[Encoding],
    *,
    subject: Callable[..., Subject],
    seconds: float,
    progress: Progress,
) -> Throughput:
    """Time `rows` on `texts`; `subject(row, name, order=...)` makes a row ready for the timing engine."""
    named = {f"{row.name}, {order}": (row, order) for row in rows for order in _orders(row)}
    shape = Shape(batch=len(texts), tokens=max(map(len, texts)))
    timing, omissions = time_rows(
        [subject(row, name, order=order) for name, (row, order) in named.items()],
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


def _orders(row: Row) -> tuple[Order, ...]:
    """A session of this project groups texts itself; the users of a peer do not have it."""
    ours = row.subject == FILE or row.subject.startswith(OURS)
    return ORDERS if ours else PEER_ORDERS
