"""The choice of one of several continuations."""

from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.heads.base import Head


class MultipleChoice(Head):
    """A score for each choice, (batch, choices); ids and mask are (batch, choices, sequence)."""

    architecture = "DistilBertForMultipleChoice"
    axes = ("batch", "choices", "sequence")
    output_axes = {"logits": ("batch", "choices")}

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__(config, implementation)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.seq_classif_dropout)
        self.classifier = nn.Linear(config.dim, 1)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        batch, choices, _ = input_ids.shape
        if position_ids is not None:
            position_ids = position_ids.flatten(0, 1)
        hidden = self.distilbert(input_ids.flatten(0, 1), attention_mask.flatten(0, 1), position_ids)
        logits = self.classifier(self.dropout(self.pre_classifier(hidden[:, 0]).relu()))
        return (logits.view(batch, choices),)
