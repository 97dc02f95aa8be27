"""The encoder without a head, and what sentence-transformers puts behind it."""

from torch import Tensor

from model_src.config import DistilBertConfig
from model_src.heads.base import Head
from model_src.sentence.embedding import OUTPUT, SentenceEmbedding
from model_src.sentence.modules import SentenceModules


class Features(Head):
    """Hidden states of the last layer, (batch, sequence, dim).

    With the modules of a sentence-transformers folder, the embedding of each text is a second output, (batch,
    embedding).
    """

    architecture = "DistilBertModel"
    output_axes = {"last_hidden_state": ("batch", "sequence", "dim")}

    def __init__(
        self,
        config: DistilBertConfig,
        implementation: str = "sdpa",
        modules: SentenceModules | None = None,
    ) -> None:
        super().__init__(config, implementation)
        self.sentence: SentenceEmbedding | None = None
        if modules is not None:
            self.sentence = SentenceEmbedding(modules, config.dim)
            self.output_axes = {**self.output_axes, OUTPUT: ("batch", "embedding")}

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        hidden_BTC = self.distilbert(input_ids, attention_mask, position_ids)
        if self.sentence is None:
            return (hidden_BTC,)
        return hidden_BTC, self.sentence(hidden_BTC, attention_mask)
