"""The base class of heads: an encoder, layers on top, and a declaration of inputs and outputs."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.model import DistilBert


class Head(nn.Module):
    """A DistilBERT with a task's layers on top; one subclass per file of this package."""

    architecture: ClassVar[str]
    """The name of the class in transformers, which config.json contains."""
    axes: ClassVar[tuple[str, ...]] = ("batch", "sequence")
    """The dynamic axes of both inputs."""
    output_axes: Mapping[str, tuple[str, ...]]
    """The axes of each output, in the order of the tuple that `forward` returns.

    `batch`, `sequence` and `choices` are dynamic, and `labels`, `vocabulary` and `dim` have the sizes in config.json.
    Another name stands for a size that the graph fixes.
    """
    tied_layer: ClassVar[str] = ""
    """The layer whose weight is the word embeddings' if config.tie_word_embeddings is set; "" for none."""

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.distilbert = DistilBert(config, implementation)

    @property
    def name(self) -> str:
        """The name of the head, which is the name of its module."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs of `forward`, in order."""
        return tuple(self.output_axes)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The outputs for ids and a mask with the axes `axes`; `position_ids` are 0 to T-1 by default."""
        raise NotImplementedError
