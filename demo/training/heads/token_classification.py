"""Training the restoration of punctuation and case."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import cast

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from demo.encoder import tokenizer
from demo.training.task import LONGEST_INPUT_TOKENS, Batch, Item, Record, in_order

CASES = ("", "CAP", "UPPER")
MARKS = ("", "COMMA", "PERIOD", "QUESTION")
LABELS = tuple("+".join(filter(None, pair)) or "O" for pair in product(CASES, MARKS))
IGNORED = -100


class TokenClassification:
    """Cross entropy over the first word piece of each word; other word pieces do not have a label."""

    head = "token_classification"
    architecture = "DistilBertForTokenClassification"
    chief_metric = "micro_f1"
    dropout = 0.0
    tokens_per_batch = 2048
    rank = 40
    learning_rate = 1e-3

    def config(self) -> dict[str, object]:
        """The labels in order."""
        return {
            "id2label": {str(index): label for index, label in enumerate(LABELS)},
            "label2id": {label: index for index, label in enumerate(LABELS)},
        }

    def items(self, records: Sequence[Record]) -> list[Item]:
        """A row per record; the target has a label, or IGNORED, for each word piece."""
        chunks = [cast(list[str], record["tokens"]) for record in records]
        encodings = tokenizer().encode_batch(chunks, is_pretokenized=True)
        items = []
        for encoding, record in zip(encodings, records, strict=True):
            labels = [LABELS.index(label) for label in cast(list[str], record["labels"])]
            words = encoding.word_ids[:LONGEST_INPUT_TOKENS]
            target = [IGNORED] * len(words)
            for place, word in enumerate(words):
                if word is not None and word != words[place - 1]:
                    target[place] = labels[word]
            items.append(Item(rows=(tuple(encoding.ids[:LONGEST_INPUT_TOKENS]),), target=tuple(target)))
        return items

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """Random weights are kept."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy over the labels."""
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        targets = torch.full_like(batch.input_ids, IGNORED)
        for row, target in enumerate(batch.targets):
            targets[row, : len(target)] = torch.tensor(target)
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """Micro and macro F1 over the labels other than O, and accuracy."""
        items = self.items(records)
        truth: list[int] = []
        predicted: list[int] = []
        for places, batch in in_order(items):
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
            guesses = logits.argmax(-1).numpy()
            for row, place in enumerate(places):
                target = np.array(items[place].target)
                labelled = np.flatnonzero(target != IGNORED)
                truth += target[labelled].tolist()
                predicted += guesses[row, labelled].tolist()
        return _scores(truth, predicted)

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """Random labels with the frequencies of the training set, and its most common label."""
        counts = Counter(label for record in train for label in cast(list[str], record["labels"]))
        truth = [LABELS.index(label) for record in records for label in cast(list[str], record["labels"])]
        frequencies = np.array([counts[label] for label in LABELS], dtype=float)
        drawn = np.random.default_rng(0).choice(
            len(LABELS), size=len(truth), p=frequencies / frequencies.sum()
        )
        chance = _scores(truth, drawn.tolist())
        majority = _scores(truth, [int(frequencies.argmax())] * len(truth))
        return {f"chance_{name}": value for name, value in chance.items()} | {
            f"majority_{name}": value for name, value in majority.items()
        }


TASK = TokenClassification()


def _scores(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    marked = [index for index, label in enumerate(LABELS) if label != "O"]
    return {
        "micro_f1": float(f1_score(truth, predicted, labels=marked, average="micro", zero_division=0)),
        "macro_f1": float(f1_score(truth, predicted, labels=marked, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(truth, predicted)),
    }
