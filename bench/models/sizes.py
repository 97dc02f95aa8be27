"""The sizes of DistilBERT-base, and how many operations its matrix products take."""

from distilforge.timing.shape import Shape

from model_src.config import DistilBertConfig

CONFIG = DistilBertConfig(labels=("negative", "positive"))
# A multiplication and an addition
OPERATIONS = 2


def operations(shape: Shape) -> int:
    """Operations of the encoder's matrix products at `shape`; those of the classifier are negligible."""
    return linear_operations(shape.batch * shape.tokens) + attention_operations(shape.batch, shape.tokens)


def linear_operations(tokens: int) -> int:
    """Operations of all linear layers for `tokens` tokens; these products can be done with 8-bit integers."""
    per_layer = 4 * CONFIG.dim * CONFIG.dim + 2 * CONFIG.dim * CONFIG.hidden_dim
    return OPERATIONS * tokens * CONFIG.n_layers * per_layer


def attention_operations(batch: int, tokens: int) -> int:
    """Operations of both matrix products of attention, in all attention heads and layers."""
    return OPERATIONS * batch * CONFIG.n_layers * 2 * tokens * tokens * CONFIG.dim
