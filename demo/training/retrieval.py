"""The metrics of the encoder without training: it finds the fluent version of a disfluent question."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import transformers
from torch import Tensor

from demo import encoder
from demo.training.task import Item, Record, in_order


@torch.no_grad()
def metrics(records: Sequence[Record]) -> dict[str, float]:
    """Recall at 1 and the mean reciprocal rank of the match among all matches, by cosine of mean-pooled vectors."""
    with TemporaryDirectory() as scratch:
        encoder.write(Path(scratch))
        model = transformers.DistilBertModel.from_pretrained(scratch).eval()
    texts, matches = (
        _vectors(model, [str(record[name]) for record in records]) for name in ("text", "match")
    )
    similarities = texts @ matches.T
    ranks = (similarities > similarities.diagonal()[:, None]).sum(1).numpy() + 1
    return {
        "recall_at_1": float(np.mean(ranks == 1)),
        "mean_reciprocal_rank": float(np.mean(1 / ranks)),
    }


def baselines(records: Sequence[Record]) -> dict[str, float]:
    """The recall of a uniform guess."""
    return {"chance_recall_at_1": 1 / len(records)}


def _vectors(model: transformers.DistilBertModel, texts: Sequence[str]) -> Tensor:
    """Vectors of length 1, (texts, dim)."""
    items = [
        Item(rows=(tuple(encoding.ids),), target=()) for encoding in encoder.tokenizer().encode_batch(texts)
    ]
    vectors = torch.zeros(len(texts), model.config.dim)
    for places, batch in in_order(items):
        output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        mask = batch.attention_mask[:, :, None]
        vectors[places] = (output.last_hidden_state * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(vectors, dim=1)
