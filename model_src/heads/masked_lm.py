"""Masked language modelling (Devlin et al. 2019, section 3.1, arXiv:1810.04805)."""

from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.heads.base import Head
from model_src.model import activate, layer_norm


class MaskedLM(Head):
    """A score for each vocabulary entry at each token, (batch, sequence, vocabulary)."""

    architecture = "DistilBertForMaskedLM"
    output_axes = {"logits": ("batch", "sequence", "vocabulary")}
    tied_layer = "vocab_projector"

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__(config, implementation)
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = layer_norm(config)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)
        if config.tie_word_embeddings:
            self.vocab_projector.weight = self.distilbert.embeddings.word_embeddings.weight

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        hidden_BTC = self.distilbert(input_ids, attention_mask, position_ids)
        transformed_BTC = activate(self.config.activation, self.vocab_transform(hidden_BTC))
        return (self.vocab_projector(self.vocab_layer_norm(transformed_BTC)),)
