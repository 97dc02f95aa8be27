"""Extraction of an answer from a context (Devlin et al. 2019, section 4.2, arXiv:1810.04805)."""

from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.errors import ConfigurationError
from model_src.heads.base import Head


class QuestionAnswering(Head):
    """Scores that the answer starts and that it ends at each token, two of (batch, sequence)."""

    architecture = "DistilBertForQuestionAnswering"
    output_axes = {"start_logits": ("batch", "sequence"), "end_logits": ("batch", "sequence")}

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__(config, implementation)
        if len(config.labels) != 2:
            raise ConfigurationError(
                f"question answering has two labels, start and end; id2label has {len(config.labels)}"
            )
        self.qa_outputs = nn.Linear(config.dim, 2)
        self.dropout = nn.Dropout(config.qa_dropout)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        hidden_BTC = self.dropout(self.distilbert(input_ids, attention_mask, position_ids))
        logits_BT2 = self.qa_outputs(hidden_BTC)
        return logits_BT2[..., 0], logits_BT2[..., 1]
