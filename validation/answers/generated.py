"""Generated inputs at the ends of the release's spans, which evaluation data may not reach."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from distilforge.manifest import Span

from validation.answers.batches import Feeds
from validation.statistics.metrics import Indices

SEED = 0
SLOTS = 1024
"""Token slots in the largest case."""
EMPTY_TEXT = 2
"""The tokens of a text without words, [CLS] and [SEP]: data have no such text, and applications do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One generated input."""

    name: str
    """What is special about it."""
    feeds: Feeds
    """The input arrays, by name."""
    compared: bool = True
    """Whether outputs are compared with eager PyTorch's; where not, they must only be finite."""


def cases(spans: Mapping[str, Span], vocabulary: int) -> Iterator[Case]:
    """One token, an empty text, full length, padding of many lengths, batches of one and of many, a fully masked row.

    A fully masked row asks for an average over nothing. No answer to it is right or wrong, but NaN there means NaN
    wherever a batch is filled up with empty rows. So its outputs must be finite and are not compared.
    """
    random = np.random.default_rng(SEED)
    batch, sequence = spans["batch"], spans["sequence"]
    choices = spans.get("choices")
    fewest_choices = 1 if choices is None else choices.low
    usual_choices = 1 if choices is None else choices.usual
    large_batch = max(batch.low, min(batch.high, SLOTS // usual_choices // sequence.low))
    tokens = max(sequence.low, min(sequence.usual, SLOTS // (usual_choices * large_batch)))

    def full(rows: int, count: int, tokens: int) -> dict[str, Indices]:
        shape = (rows, tokens) if choices is None else (rows, count, tokens)
        return random_feeds(shape, vocabulary, random)

    yield Case(name="shortest", feeds=full(batch.low, fewest_choices, sequence.low))
    yield Case(name="full length", feeds=full(batch.low, fewest_choices, sequence.high))
    yield Case(
        name="large batch, many lengths",
        feeds=_ragged(full(large_batch, usual_choices, tokens), sequence.low, random),
    )
    if choices is not None and choices.high != usual_choices:
        # As many as of the usual choices, among which a fault of these alone would hardly show
        rows = max(batch.low, min(batch.high, SLOTS // (choices.high * tokens)))
        yield Case(name="most choices", feeds=_ragged(full(rows, choices.high, tokens), sequence.low, random))
    if batch.high > 1:
        rows = max(2, batch.low)
        long = max(sequence.low, min(sequence.high, 2 * sequence.usual))
        yield Case(
            name="two rows of twice the usual length",
            feeds=_ragged(full(rows, fewest_choices, long), sequence.low, random),
        )
        masked = full(rows, usual_choices, tokens)
        masked["attention_mask"][-1] = 0
        yield Case(name="a fully masked row", feeds=masked, compared=False)
    if sequence.low <= EMPTY_TEXT <= sequence.high:
        yield Case(name="an empty text", feeds=full(batch.low, fewest_choices, EMPTY_TEXT))


def random_feeds(shape: tuple[int, ...], vocabulary: int, random: np.random.Generator) -> dict[str, Indices]:
    """Random token ids of `shape`; no token is masked."""
    return {
        "input_ids": random.integers(0, vocabulary, size=shape, dtype=np.int64),
        "attention_mask": np.ones(shape, dtype=np.int64),
    }


def _ragged(feeds: Feeds, shortest: int, random: np.random.Generator) -> Feeds:
    """The same ids, each row masked behind a random length; the first row stays whole and the last is shortest."""
    shape = feeds["input_ids"].shape
    lengths = random.integers(shortest, shape[-1], size=shape[:-1], endpoint=True)
    lengths.flat[0], lengths.flat[-1] = shape[-1], shortest
    return {**feeds, "attention_mask": (np.arange(shape[-1]) < lengths[..., None]).astype(np.int64)}
