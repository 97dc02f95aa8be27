"""Classification or regression of a whole text."""

from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.heads.base import Head


class SequenceClassification(Head):
    """A score for each label, (batch, labels), from the hidden state of the first token."""

    architecture = "DistilBertForSequenceClassification"
    output_axes = {"logits": ("batch", "labels")}

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__(config, implementation)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.seq_classif_dropout)
        self.classifier = nn.Linear(config.dim, len(config.labels))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        first_BC = self.distilbert(input_ids, attention_mask, position_ids)[:, 0]
        return (self.classifier(self.dropout(self.pre_classifier(first_BC).relu())),)
