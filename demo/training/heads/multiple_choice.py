"""Training multiple choice."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from demo.encoder import tokenizer
from demo.training.task import LONGEST_INPUT_TOKENS, Batch, Item, Record, in_order


class MultipleChoice:
    """Cross entropy over the choices of a question."""

    head = "multiple_choice"
    architecture = "DistilBertForMultipleChoice"
    chief_metric = "accuracy"
    dropout = 0.0
    tokens_per_batch = 2048
    rank = 40
    learning_rate = 7e-4

    def config(self) -> dict[str, object]:
        """No fields: the output is one logit per choice."""
        return {}

    def items(self, records: Sequence[Record]) -> list[Item]:
        """A row per choice: the context, and then the choice."""
        pairs = [(str(record["context"]), choice) for record in records for choice in _choices(record)]
        encodings = iter(tokenizer().encode_batch(pairs))
        return [
            Item(
                rows=tuple(tuple(next(encodings).ids[:LONGEST_INPUT_TOKENS]) for _ in _choices(record)),
                target=(cast(int, record["label"]),),
            )
            for record in records
        ]

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """Random weights are kept."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy over the choices."""
        return nn.functional.cross_entropy(_logits(model, batch), torch.tensor(batch.targets)[:, 0])

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """The share of questions whose right choice has the highest logit."""
        items = self.items(records)
        right = [
            guess == items[place].target[0]
            for places, batch in in_order(items)
            for place, guess in zip(places, _logits(model, batch).argmax(-1).tolist(), strict=True)
        ]
        return {"accuracy": float(np.mean(right))}

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """A uniform guess, and the most common index of the right choice."""
        commonest, _ = Counter(cast(int, record["label"]) for record in train).most_common(1)[0]
        return {
            "chance_accuracy": float(np.mean([1 / len(_choices(record)) for record in records])),
            "majority_accuracy": float(np.mean([record["label"] == commonest for record in records])),
        }


TASK = MultipleChoice()


def _choices(record: Record) -> list[str]:
    return cast(list[str], record["choices"])


def _logits(model: nn.Module, batch: Batch) -> Tensor:
    """Logits (questions, choices); all questions of a batch have the same number of choices."""
    shape = (len(batch.targets), -1, batch.input_ids.shape[1])
    output = model(input_ids=batch.input_ids.view(shape), attention_mask=batch.attention_mask.view(shape))
    logits: Tensor = output.logits.float()
    return logits
