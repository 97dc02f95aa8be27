"""Calibration data: real texts, encoded and batched as the runtime does it, for ranges and for checks on them."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from distilforge.manifest import Span
from distilforge.tokenizer import Tokenizer

from model_src import folder as checkpoint_folder
from pipeline.errors import UsageError
from pipeline.precision import Batches, Feeds
from pipeline.release import tokenizer
from validation import tasks
from validation.answers.batches import batches
from validation.data import demo_texts, read
from validation.errors import DataError
from validation.tasks.base import CheckpointReader, Row

# More texts hardly change the ranges, and each one takes time in a build.
MOST_TEXTS = 128
# Of the evaluation data, on which bounds are proven: what one text in a hundred exceeds shows with 99% probability.
MOST_PROVEN = 512
# A short model reads a long text in windows; some of them are enough.
MOST_WINDOWS = 4

T = TypeVar("T")


def feeds(
    checkpoint: Path,
    head: str,
    spans: Mapping[str, Span],
    data: Path | None,
    *,
    most: int = MOST_TEXTS,
    seed: int | None = None,
) -> Batches:
    """Batches of up to `most` texts, spread over `data`; each call of the result starts again at the first batch.

    The texts are evenly spread, or drawn at random with `seed`, so that no pattern in the data can hide any. With
    `seed`, so are the windows of a long text.

    Texts are encoded and padded as the runtime and validation do it; labels are not read. Without `data`, the texts
    that validation carries for the head are used. Raises UsageError where there is no text, or none fits the model,
    DataError for data that is damaged or of another head, and what model_src raises for a checkpoint.
    """
    path = demo_texts(head, "calibration") if data is None else data
    if path is None:
        raise UsageError(
            f"the head {head} needs calibration data, and there are no texts for it here",
            hint="give texts like those the model will read: --calibration texts.jsonl",
        )
    task = tasks.find(head)(labels=(), labelled=False)
    examples = read(path, task, head)
    reader = _checkpoint_reader(checkpoint, head, spans)
    rows: list[Row] = []
    chosen = examples[:: -(-len(examples) // most)] if seed is None else _drawn(examples, most, seed)
    for index, example in enumerate(chosen):
        # A text may be too long for this model, or offer more choices than it takes.
        with contextlib.suppress(DataError):
            rows += _some(task.rows(example, index, reader), seed if seed is None else seed + index)
    if not rows:
        raise UsageError(
            f"none of the {len(examples)} texts in {path} fits the model",
            hint=f"give texts of at most {reader.longest} tokens",
        )

    def calibration() -> Iterator[Feeds]:
        return (batch.feeds for batch in batches(rows, reader))

    return calibration


def _some(windows: tuple[Row, ...], seed: int | None) -> tuple[Row, ...]:
    """At most MOST_WINDOWS of the windows of a text, the first ones, or drawn at random with `seed`."""
    return windows[:MOST_WINDOWS] if seed is None else _drawn(windows, MOST_WINDOWS, seed)


def _drawn(entries: tuple[T, ...], most: int, seed: int) -> tuple[T, ...]:
    """At most `most` of the entries, drawn at random, in their order."""
    order = np.random.default_rng(seed).permutation(len(entries))[:most]
    return tuple(entries[place] for place in sorted(order.tolist()))


def _checkpoint_reader(checkpoint: Path, head: str, spans: Mapping[str, Span]) -> CheckpointReader:
    """Reads texts as a release of `checkpoint` would."""
    source = checkpoint_folder.find(checkpoint, head=head, needs_weights=False)
    config = source.configuration()
    with tempfile.TemporaryDirectory(prefix="distilforge-") as folder:
        tokenizer.write(
            source,
            Path(folder),
            vocab_size=config.vocab_size,
            longest=source.longest(),
        )
        return CheckpointReader(tokenizer=Tokenizer(Path(folder)), spans=spans)
