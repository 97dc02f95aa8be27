"""The texts that validation carries, as token ids: one by one, in batches of 32, or as a session groups them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from distilforge.manifest import Span
from distilforge.text import batching
from distilforge.text.batching import TokenIds, pad
from distilforge.timing.feeds import Ids
from distilforge.tokenizer import Encoding, Tokenizer

from bench.models.sizes import CONFIG
from pipeline.recipe import spans
from pipeline.registry import unknown
from validation import data, tasks
from validation.tasks.base import CheckpointReader, Example, Task

Order = Literal["session", "arrival", "sorted", "single"]
ORDERS: tuple[Order, ...] = ("session", "arrival", "sorted", "single")
"""As `session(list)` groups the texts; 32 at a time, as they come or sorted by length over the whole list; one by one.

One by one, nearly every run has another length than the run before."""
HEADS = tuple(head for head in tasks.names() if data.demo_texts(head, "evaluation") is not None)
"""The heads that validation carries texts for."""
PAD_ID = 0
"""The id at padding, which nobody reads."""
BATCH = 32
"""Texts in a batch of those that are as they come or sorted."""
SPANS = spans.complete({}, spans.ALWAYS, CONFIG.max_position_embeddings)
"""The spans of a release whose recipe gives none."""
CHOICES = Span(low=1, usual=4, high=64)
"""More choices than any example has, since each is a text here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Texts of a head's evaluation data, and what encodes them as a release does."""

    task: Task[Example]
    """Knows which texts an example has."""
    examples: tuple[Example, ...]
    """The lines of the data."""
    reader: CheckpointReader
    """The tokenizer, and the sizes that the graph takes."""
    most: int
    """How many texts are encoded at most."""

    def encodings(self) -> tuple[Encoding, ...]:
        """The tokens of each text; a text that is too long is cut, and each choice of a multiple choice is a text."""
        rows = (
            row
            for index, example in enumerate(self.examples)
            for row in self.task.rows(example, index, self.reader)
        )
        return tuple(islice((encoding for row in rows for encoding in row.encodings), self.most))


def read_texts(head: str, tokenizer: Path, most: int) -> Texts:
    """At most `most` texts of the head's evaluation data, with the tokenizer in the folder `tokenizer`.

    Raises DataError or ReleaseError if the data or the tokenizer cannot be read, and UsageError for a head without such
    texts.
    """
    path = data.demo_texts(head, "evaluation")
    if path is None:
        raise unknown("head", head, HEADS)
    task = tasks.find(head)(labels=(), problem_type=None, labelled=False)
    return Texts(
        task=task,
        examples=tuple(data.read(path, task, head)[:most]),
        reader=CheckpointReader(tokenizer=Tokenizer(tokenizer), spans={**SPANS, "choices": CHOICES}),
        most=most,
    )


def batches(texts: Sequence[TokenIds], order: Order) -> tuple[tuple[Ids, Ids], ...]:
    """input_ids and attention_mask of each batch, padded to its longest text."""
    padded = (
        pad([texts[row] for row in rows], pad_id=PAD_ID, at_least=1)
        for rows in _groups([len(text.ids) for text in texts], order)
    )
    return tuple(
        (feeds["input_ids"].astype(np.int64), feeds["attention_mask"].astype(np.int64)) for feeds in padded
    )


def _groups(lengths: Sequence[int], order: Order) -> Iterator[Sequence[int]]:
    """The rows of each batch."""
    if order == "session":
        yield from batching.batches(lengths, SPANS["batch"], SPANS["sequence"])
        return
    rows = sorted(range(len(lengths)), key=lengths.__getitem__) if order == "sorted" else range(len(lengths))
    size = 1 if order == "single" else BATCH
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
