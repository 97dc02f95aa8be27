"""What a head must say to be trained, and what every head's batches have in common."""

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
LONGEST_INPUT_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An example as word pieces: one row of them, or one a choice."""

    rows: tuple[tuple[int, ...], ...]
    target: tuple[int, ...]

    @property
    def longest(self) -> int:
        """Word pieces in the longest row."""
        return max(len(row) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`input_ids` and `attention_mask` (rows, slots), and each item's target."""

    input_ids: Tensor
    attention_mask: Tensor
    targets: tuple[tuple[int, ...], ...]


class Task(Protocol):
    """A head's training recipe."""

    head: str
    architecture: str
    chief_metric: str
    dropout: float
    tokens_per_batch: int
    rank: int
    learning_rate: float

    def config(self) -> dict[str, object]:
        """The fields of config.json that the head adds."""
        ...

    def items(self, records: Sequence[Record]) -> list[Item]:
        """Training examples as word pieces."""
        ...

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """Give the new head better first weights than random ones, where they are known."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The scalar to make smaller."""
        ...

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """What the model scores on labelled examples."""
        ...

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """What chance, and always giving the training set's commonest answer, would score."""
        ...


def read_records(path: Path) -> list[Record]:
    """The lines of a compressed JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def collate(items: Sequence[Item]) -> Batch:
    """Pad on the right to the longest row."""
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
    """One pass over `items` in random batches of about equal length and of at most that many slots."""
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
    """Batches of about equal length, with the places of their items in `items`."""
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
