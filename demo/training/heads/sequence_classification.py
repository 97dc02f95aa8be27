"""Training the sentiment classifier."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from demo.encoder import tokenizer
from demo.training.task import LONGEST_INPUT_TOKENS, Batch, Item, Record, in_order

LABELS = ("negative", "neutral", "positive", "ambivalent")


class SequenceClassification:
    """Cross entropy over the label of a sentence."""

    head = "sequence_classification"
    architecture = "DistilBertForSequenceClassification"
    chief_metric = "accuracy"
    dropout = 0.1
    tokens_per_batch = 2048
    rank = 32
    learning_rate = 1e-3

    def config(self) -> dict[str, object]:
        """The labels in order, of which each sentence has one."""
        return {
            "id2label": {str(index): label for index, label in enumerate(LABELS)},
            "label2id": {label: index for index, label in enumerate(LABELS)},
            "problem_type": "single_label_classification",
        }

    def items(self, records: Sequence[Record]) -> list[Item]:
        """A row per sentence."""
        encodings = tokenizer().encode_batch([str(record["text"]) for record in records])
        return [
            Item(
                rows=(tuple(encoding.ids[:LONGEST_INPUT_TOKENS]),),
                target=(LABELS.index(str(record["label"])),),
            )
            for encoding, record in zip(encodings, records, strict=True)
        ]

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """Random weights are kept."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy over the labels."""
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        return nn.functional.cross_entropy(logits.float(), torch.tensor(batch.targets)[:, 0])

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """Accuracy and macro F1."""
        items = self.items(records)
        predicted = np.zeros(len(items), dtype=int)
        for places, batch in in_order(items):
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
            predicted[places] = logits.argmax(-1).numpy()
        return _scores([item.target[0] for item in items], predicted.tolist())

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """A uniform guess, and the most common label."""
        commonest, _ = Counter(str(record["label"]) for record in train).most_common(1)[0]
        truth = [LABELS.index(str(record["label"])) for record in records]
        majority = _scores(truth, [LABELS.index(commonest)] * len(truth))
        return {"chance_accuracy": 1 / len(LABELS)} | {
            f"majority_{name}": value for name, value in majority.items()
        }


TASK = SequenceClassification()


def _scores(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
    }
