"""DistilBERT-base's sizes and how many operations its matrix products take."""

from model_src.config import DistilBertConfig

SIZES = DistilBertConfig(labels=("negative", "positive"))
# a multiplication and an addition
OPERATIONS = 2


def linear_operations(tokens: int) -> int:
    """Operations of the linear layers over `tokens` tokens in all: what an integer matrix product can take over."""
    per_layer = 4 * SIZES.dim * SIZES.dim + 2 * SIZES.dim * SIZES.hidden_dim
    return OPERATIONS * tokens * SIZES.n_layers * per_layer


def attention_operations(batch: int, tokens: int) -> int:
    """Operations of both matrix products of attention, over all heads and layers."""
    return OPERATIONS * batch * SIZES.n_layers * 2 * tokens * tokens * SIZES.dim
