"""What the training recipe of a head defines, and batches, which are the same for every head."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

Record = Mapping[str, object]
"""The content of a JSON line."""
LONGEST_INPUT_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An example as word pieces."""

    rows: tuple[tuple[int, ...], ...]
    """Ids of word pieces: one row, or a row per choice."""
    target: tuple[int, ...]
    """What the model is trained to answer; its meaning depends on the head."""

    @property
    def longest(self) -> int:
        """The word pieces in the longest row."""
        return max(len(row) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Items, padded to one length."""

    input_ids: Tensor
    """(rows, tokens), int64."""
    attention_mask: Tensor
    """(rows, tokens), int64; 0 for padding."""
    targets: tuple[tuple[int, ...], ...]
    """The target of each item."""


class Task(Protocol):
    """The training recipe of a head."""

    head: str
    """The name of the head."""
    architecture: str
    """The class in transformers."""
    chief_metric: str
    """The name of the metric that the head is judged by."""
    dropout: float
    """The dropout probability of the encoder."""
    tokens_per_batch: int
    """The most tokens of a batch, padding included."""
    rank: int
    """The rank of the adapters."""
    learning_rate: float
    """The peak of the learning rate."""

    def config(self) -> dict[str, object]:
        """The fields of config.json that the head adds."""
        ...

    def items(self, records: Sequence[Record]) -> list[Item]:
        """Labelled examples as word pieces."""
        ...

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """Give the head better first weights than random ones, if there are any."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss, a scalar."""
        ...

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """The metrics of the model on labelled examples, by name."""
        ...

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """The metrics of a random guess, and of the most common answer in the training set."""
        ...


def read_records(path: Path) -> list[Record]:
    """The records in a compressed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def collate(items: Sequence[Item]) -> Batch:
    """A batch of `items`, padded on the right to the longest row."""
    rows = [row for item in items for row in item.rows]
    input_ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = torch.tensor(row)
        attention_mask[index, : len(row)] = 1
    return Batch(
        input_ids=input_ids, attention_mask=attention_mask, targets=tuple(item.target for item in items)
    )


def bucketed(items: Sequence[Item], tokens_per_batch: int, random: np.random.Generator) -> Iterator[Batch]:
    """One pass over `items` in random batches of similar lengths, with at most `tokens_per_batch` tokens each."""
    lengths = np.array([item.longest for item in items])
    order = random.permutation(len(items))
    noisy = lengths[order] * random.uniform(0.9, 1.1, size=len(items))
    order = order[np.argsort(noisy, kind="stable")]
    batches: list[list[Item]] = [[]]
    for index in order:
        item = items[int(index)]
        rows = sum(len(other.rows) for other in batches[-1]) + len(item.rows)
        if batches[-1] and rows * item.longest > tokens_per_batch:
            batches.append([])
        batches[-1].append(item)
    for index in random.permutation(len(batches)):
        yield collate(batches[int(index)])


def in_order(items: Sequence[Item], tokens_per_batch: int = 8192) -> Iterator[tuple[list[int], Batch]]:
    """Batches of similar lengths, each with the indices of its items in `items`."""
    order = sorted(range(len(items)), key=lambda index: items[index].longest)
    batch: list[int] = []
    for index in order:
        rows = (len(batch) + 1) * len(items[index].rows)
        if batch and rows * items[index].longest > tokens_per_batch:
            yield batch, collate([items[place] for place in batch])
            batch = []
        batch.append(index)
    if batch:
        yield batch, collate([items[place] for place in batch])
