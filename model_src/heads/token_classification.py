"""Classification of each token."""

from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.heads.base import Head


class TokenClassification(Head):
    """A score for each label at each token, (batch, sequence, labels)."""

    architecture = "DistilBertForTokenClassification"
    output_axes = {"logits": ("batch", "sequence", "labels")}

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__(config, implementation)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.dim, len(config.labels))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        return (self.classifier(self.dropout(self.distilbert(input_ids, attention_mask, position_ids))),)
