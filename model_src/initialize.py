"""Fresh weights, drawn as in transformers."""

import torch
from torch import Tensor, nn

from model_src.config import DistilBertConfig
from model_src.model import Embeddings


def sinusoidal(positions: int, dim: int) -> Tensor:
    """Fixed position embeddings (positions, dim): sin and cos of position / 10000^(2i / dim) for each i < dim / 2.

    Source: Vaswani et al. 2017, section 3.5; as in transformers, sines are the even channels and cosines the odd ones.
    """
    position = torch.arange(positions, dtype=torch.float64)[:, None]
    pair = torch.arange(dim, dtype=torch.float64) // 2
    angle = position / torch.pow(10000.0, 2 * pair / dim)
    table = angle.sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()


@torch.no_grad()
def initialize(model: nn.Module, config: DistilBertConfig) -> None:
    """Draw all weights of `model` anew: normal with standard deviation config.initializer_range, biases 0, norms 1."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=config.initializer_range)
            module.bias.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(std=config.initializer_range)
            if module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    for module in model.modules():
        if isinstance(module, Embeddings) and config.sinusoidal_pos_embds:
            module.position_embeddings.weight.copy_(sinusoidal(config.max_position_embeddings, config.dim))
