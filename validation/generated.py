"""Inputs over the edges of the release's spans, which no evaluation data can be trusted to reach."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from distilforge.manifest import Span

from validation.batches import Feeds
from validation.metrics import Indices

SEED = 0
# Token slots of the largest case
SLOTS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input; `compared` is false where only finiteness means anything."""

    name: str
    feeds: Feeds
    compared: bool = True


def cases(spans: Mapping[str, Span], vocabulary: int) -> Iterator[Case]:
    """One token, full length, ragged padding, batches of one and many, and a fully masked row.

    A fully masked row asks for an average over nothing: what it answers is nobody's, but NaN there means NaN
    wherever a batch is filled up with empty rows. So it is not compared, only looked through for NaN.
    """
    random = np.random.default_rng(SEED)
    batch, sequence = spans["batch"], spans["sequence"]
    choices = spans.get("choices")
    fewest = 1 if choices is None else choices.low
    usual = 1 if choices is None else choices.usual
    many = max(batch.low, min(batch.high, SLOTS // usual // sequence.low))
    middle = max(sequence.low, min(sequence.usual, SLOTS // (usual * many)))

    def of(rows: int, count: int, tokens: int) -> dict[str, Indices]:
        shape = (rows, tokens) if choices is None else (rows, count, tokens)
        return random_feeds(shape, vocabulary, random)

    yield Case(name="shortest", feeds=of(batch.low, fewest, sequence.low))
    yield Case(name="full length", feeds=of(batch.low, fewest, sequence.high))
    yield Case(name="batch of many, ragged", feeds=_ragged(of(many, usual, middle), sequence.low, random))
    if choices is not None and choices.high != usual:
        yield Case(
            name="most choices", feeds=_ragged(of(batch.low, choices.high, middle), sequence.low, random)
        )
    if batch.high > 1:
        long = max(sequence.low, min(sequence.high, 2 * sequence.usual))
        two = max(2, batch.low)
        yield Case(
            name="two of usual length and more", feeds=_ragged(of(two, fewest, long), sequence.low, random)
        )
        masked = of(two, usual, middle)
        masked["attention_mask"][-1] = 0
        yield Case(name="a fully masked row", feeds=masked, compared=False)


def random_feeds(shape: tuple[int, ...], vocabulary: int, random: np.random.Generator) -> dict[str, Indices]:
    """Random token ids of `shape` with nothing masked."""
    return {
        "input_ids": random.integers(0, vocabulary, size=shape, dtype=np.int64),
        "attention_mask": np.ones(shape, dtype=np.int64),
    }


def _ragged(feeds: Feeds, shortest: int, random: np.random.Generator) -> Feeds:
    """The same ids with every row masked from a random length on; one row of each kind stays whole and shortest."""
    shape = feeds["input_ids"].shape
    lengths = random.integers(shortest, shape[-1], size=shape[:-1], endpoint=True)
    lengths.flat[0], lengths.flat[-1] = shape[-1], shortest
    return {**feeds, "attention_mask": (np.arange(shape[-1]) < lengths[..., None]).astype(np.int64)}
