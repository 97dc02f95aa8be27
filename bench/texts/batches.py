"""The texts that validation carries, as token ids in batches of 32, in the order of the file or sorted by length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from distilforge.manifest import Span
from distilforge.text.batching import pad
from distilforge.timing.feeds import Ids
from distilforge.tokenizer import Encoding, Tokenizer

from bench.models.sizes import CONFIG
from pipeline.registry import unknown
from validation import data, tasks
from validation.tasks.base import CheckpointReader

Order = Literal["arrival", "sorted"]
ORDERS: tuple[Order, ...] = ("arrival", "sorted")
"""As the texts come, or sorted by length over the whole list."""
HEADS = tuple(head for head in tasks.names() if data.demo_texts(head, "evaluation") is not None)
"""The heads that validation carries texts for."""
PAD_ID = 0
"""The id at padding, which nobody reads."""
BATCH = 32
"""Texts in a batch."""


def encodings(head: str, tokenizer: Path, most: int) -> tuple[Encoding, ...]:
    """At most `most` texts of the head's evaluation data, encoded as a release encodes them.

    Texts that are too long are cut, and each choice of a multiple choice is a text. Raises DataError or ReleaseError
    if the data or the tokenizer in the folder `tokenizer` cannot be read, and UsageError for a head without such texts.
    """
    path = data.demo_texts(head, "evaluation")
    if path is None:
        raise unknown("head", head, HEADS)
    longest = CONFIG.max_position_embeddings
    spans = {
        "batch": Span(low=1, usual=BATCH, high=BATCH),
        "choices": Span(low=1, usual=4, high=64),
        "sequence": Span(low=1, usual=128, high=longest),
    }
    reader = CheckpointReader(tokenizer=Tokenizer(tokenizer), spans=spans)
    task = tasks.find(head)(labels=(), problem_type=None, labelled=False)
    texts: list[Encoding] = []
    for index, example in enumerate(data.read(path, task, head)):
        for row in task.rows(example, index, reader):
            texts += row.encodings
        if len(texts) >= most:
            break
    return tuple(texts[:most])


def batches(texts: Sequence[Encoding], order: Order) -> tuple[tuple[Ids, Ids], ...]:
    """input_ids and attention_mask of each batch, padded to its longest text."""
    ordered = sorted(texts, key=len) if order == "sorted" else texts
    padded = (
        pad(ordered[start : start + BATCH], pad_id=PAD_ID, at_least=1)
        for start in range(0, len(ordered), BATCH)
    )
    return tuple(
        (feeds["input_ids"].astype(np.int64), feeds["attention_mask"].astype(np.int64)) for feeds in padded
    )
