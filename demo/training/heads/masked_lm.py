"""Training the masked language model."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from demo.encoder import tokenizer
from demo.training.task import LONGEST_INPUT_TOKENS, Batch, Item, Record, in_order

MASK_TOKEN_ID = 103
FIRST_WORD_PIECE_ID = 999
MASKED_SHARE = 0.2


class MaskedLM:
    """Cross entropy over word pieces that are replaced by the mask token."""

    head = "masked_lm"
    architecture = "DistilBertForMaskedLM"
    chief_metric = "top_1"
    dropout = 0.0
    tokens_per_batch = 2048
    rank = 40
    learning_rate = 1e-3

    def config(self) -> dict[str, object]:
        """No fields."""
        return {}

    def items(self, records: Sequence[Record]) -> list[Item]:
        """Word pieces without masks; the loss masks other word pieces each time."""
        encodings = tokenizer().encode_batch([str(record["text"]) for record in records])
        return [Item(rows=(tuple(encoding.ids[:LONGEST_INPUT_TOKENS]),), target=()) for encoding in encodings]

    def initialize(self, model: nn.Module, items: Sequence[Item]) -> None:
        """The projector's bias starts as the logarithm of word frequencies, and the transform near the identity."""
        counts = np.bincount(
            [piece for item in items for piece in item.rows[0] if piece >= FIRST_WORD_PIECE_ID],
            minlength=tokenizer().get_vocab_size(),
        )
        bias = np.log((counts + 0.1) / (counts + 0.1).sum())
        projector = cast(nn.Linear, model.get_submodule("vocab_projector"))
        projector.bias.data.copy_(torch.from_numpy(bias - bias.mean()))
        transform = cast(nn.Linear, model.get_submodule("vocab_transform"))
        transform.weight.data.copy_(
            torch.eye(transform.in_features) + 0.02 * torch.randn_like(transform.weight)
        )

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy over a random fifth of the word pieces."""
        maskable = batch.input_ids >= FIRST_WORD_PIECE_ID
        chosen = maskable & (torch.rand(batch.input_ids.shape) < MASKED_SHARE)
        masked = torch.where(chosen, MASK_TOKEN_ID, batch.input_ids)
        logits = _logits(model, masked, batch.attention_mask, chosen)
        return nn.functional.cross_entropy(logits, batch.input_ids[chosen])

    def metrics(self, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
        """How often the masked word is first or among the first five, and the perplexity of masked words."""
        items = self.items(records)
        pieces = tokenizer()
        ranks: list[int] = []
        losses: list[float] = []
        for places, batch in in_order(items):
            chosen = batch.input_ids == MASK_TOKEN_ID
            targets = [word for place in places for word in cast(list[str], records[place]["targets"])]
            truth = torch.tensor([pieces.token_to_id(word) for word in targets])
            logits = _logits(model, batch.input_ids, batch.attention_mask, chosen)
            right = logits.gather(1, truth[:, None])
            ranks += (logits > right).sum(1).tolist()
            losses += (logits.logsumexp(1) - right[:, 0]).tolist()
        return {
            "top_1": float(np.mean(np.array(ranks) < 1)),
            "top_5": float(np.mean(np.array(ranks) < 5)),
            "perplexity": math.exp(np.mean(losses)),
        }

    def baselines(self, train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
        """A uniform guess, and the most common words of the training set."""
        words = [word for record in records for word in cast(list[str], record["targets"])]
        counts = Counter(word for record in train for word in str(record["text"]).lower().split())
        common = [word for word, _ in counts.most_common(5)]
        vocabulary = tokenizer().get_vocab_size()
        total = sum(counts.values()) + vocabulary
        return {
            "chance_top_1": 1 / vocabulary,
            "chance_perplexity": float(vocabulary),
            "majority_top_1": float(np.mean([word == common[0] for word in words])),
            "majority_top_5": float(np.mean([word in common for word in words])),
            "majority_perplexity": math.exp(
                -np.mean([math.log((counts[word] + 1) / total) for word in words])
            ),
        }


TASK = MaskedLM()


def _logits(model: nn.Module, input_ids: Tensor, attention_mask: Tensor, chosen: Tensor) -> Tensor:
    """Logits (chosen positions, vocabulary) in fp32; the head runs only at the chosen positions."""
    encoder, transform, norm, projector = (
        model.get_submodule(name)
        for name in ("distilbert", "vocab_transform", "vocab_layer_norm", "vocab_projector")
    )
    hidden = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[chosen]
    logits: Tensor = projector(norm(nn.functional.gelu(transform(hidden)))).float()
    return logits
