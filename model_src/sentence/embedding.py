"""The embedding of a whole text from the encoder's hidden states, as a sentence-transformers folder declares it.

Source: sentence-transformers 5.7, the modules Pooling, Dense, LayerNorm and Normalize (Reimers and Gurevych 2019,
section 3, arXiv:1908.10084). Shape suffixes: B batch, T tokens, C channels of the encoder, E width of the embedding.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model_src import tensors
from model_src.errors import CheckpointError
from model_src.model import activate
from model_src.sentence.modules import Dense, LayerNorm, Pooling, SentenceModules

OUTPUT = "sentence_embedding"
"""The name of the output, which is that of sentence-transformers and of Optimum."""

_LOWEST = -65504.0
"""What padding counts as in a maximum: the lowest number of fp16, which no hidden state after a layer norm reaches."""


class SentenceEmbedding(nn.Module):
    """Hidden states (B, T, C) and mask (B, T), with padding on the right, to embeddings (B, E).

    The layers have the names of their positions in modules.json, such as `2.linear`. Raises CheckpointError if the
    widths of the modules do not fit each other, or the encoder's `dim`.
    """

    def __init__(self, sentence: SentenceModules, dim: int) -> None:
        super().__init__()
        self.pooling, *self.layers = sentence.modules
        assert isinstance(self.pooling, Pooling)
        width = dim * len(self.pooling.modes)
        for name, layer in zip(sentence.layer_names, self.layers, strict=True):
            if isinstance(layer, Dense):
                _check_width(layer, layer.in_features, width)
                linear = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias)
                self.add_module(name, nn.ModuleDict({"linear": linear}))
                width = layer.out_features
            elif isinstance(layer, LayerNorm):
                _check_width(layer, layer.features, width)
                self.add_module(name, nn.ModuleDict({"norm": nn.LayerNorm(layer.features)}))
        self.names = sentence.layer_names
        self.truncate_dim = sentence.truncate_dim

    def forward(self, hidden_BTC: Tensor, mask_BT: Tensor) -> Tensor:
        assert isinstance(self.pooling, Pooling)
        x_BE = torch.cat([_POOLINGS[mode](hidden_BTC, mask_BT) for mode in self.pooling.modes], dim=-1)
        for name, layer in zip(self.names, self.layers, strict=True):
            if isinstance(layer, Dense):
                x_BE = activate(layer.activation, self.get_submodule(f"{name}.linear")(x_BE))
            elif isinstance(layer, LayerNorm):
                x_BE = self.get_submodule(f"{name}.norm")(x_BE)
            else:
                x_BE = _unit(x_BE)
        return x_BE if self.truncate_dim is None else x_BE[:, : self.truncate_dim]


def _check_width(layer: Dense | LayerNorm, reads: int, given: int) -> None:
    if reads != given:
        raise CheckpointError(
            f"the {type(layer).__name__} module with the weights {layer.weights} reads {reads} numbers, and the module "
            f"ahead of it gives {given}",
            hint="check the sizes in its config.json, and the pooling",
        )


def read_state(sentence: SentenceModules) -> dict[str, Tensor]:
    """The weights of the modules, by their names in SentenceEmbedding; raises CheckpointError as tensors.read does."""
    state: dict[str, Tensor] = {}
    for name, layer in zip(sentence.layer_names, sentence.modules[1:], strict=True):
        if isinstance(layer, Dense | LayerNorm):
            state |= {f"{name}.{key}": value for key, value in tensors.read((layer.weights,)).items()}
    return state


def _first(hidden_BTC: Tensor, mask_BT: Tensor) -> Tensor:
    return hidden_BTC[:, 0]


def _largest(hidden_BTC: Tensor, mask_BT: Tensor) -> Tensor:
    return torch.where(mask_BT[..., None] != 0, hidden_BTC, _LOWEST).amax(dim=1)


def _weighted(weights: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The sum of hidden states with `weights`, a function of mask (B, T) and number of tokens (B, 1) to (B, T).

    The weights are applied before the sum, so that no sum leaves the range of fp16.
    """

    def pool(hidden_BTC: Tensor, mask_BT: Tensor) -> Tensor:
        mask = mask_BT.to(hidden_BTC.dtype)
        tokens = mask_BT.sum(dim=1, keepdim=True).clamp(min=1).to(hidden_BTC.dtype)
        return (hidden_BTC * weights(mask, tokens)[..., None]).sum(dim=1)

    return pool


def _positions(mask_BT: Tensor) -> Tensor:
    """The position of each token, from 1."""
    return torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device).to(mask_BT.dtype)


# By the library's names. The weights of `weightedmean` are the positions (Muennighoff 2022, SGPT, arXiv:2202.08904,
# equation 2); 1 to n add up to n (n + 1) / 2, which fp16 may not hold
_POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _first,
    "max": _largest,
    "mean": _weighted(lambda mask, tokens: mask / tokens),
    "mean_sqrt_len_tokens": _weighted(lambda mask, tokens: mask / tokens.sqrt()),
    "weightedmean": _weighted(lambda mask, tokens: mask * _positions(mask) / tokens * (2 / (tokens + 1))),
    "lasttoken": _weighted(lambda mask, tokens: mask * (_positions(mask) == tokens).to(mask.dtype)),
}


def _unit(x_BE: Tensor) -> Tensor:
    """`x_BE` scaled to length 1; zeros stay zeros."""
    length_B1: Tensor = torch.linalg.vector_norm(x_BE, dim=-1, keepdim=True)
    return x_BE / length_B1.clamp(min=1e-7)
