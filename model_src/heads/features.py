"""The encoder without a head."""

from torch import Tensor

from model_src.heads.base import Head


class Features(Head):
    """Hidden states of the last layer, (batch, sequence, dim)."""

    architecture = "DistilBertModel"
    output_axes = {"last_hidden_state": ("batch", "sequence", "dim")}

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        return (self.distilbert(input_ids, attention_mask, position_ids),)
