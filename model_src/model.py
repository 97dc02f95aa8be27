"""The DistilBERT encoder (Sanh et al. 2019). Modules have the names of Hugging Face, so weights keep their names.

Shape suffixes: B batch, T tokens, C channels (config.dim), H attention heads, D width of one head.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_src import attention
from model_src.config import DistilBertConfig

LAYER_NORM_EPSILON = 1e-12
"""DistilBERT's, which config.json does not contain."""


def _gelu_tanh(x: Tensor) -> Tensor:
    return functional.gelu(x, approximate="tanh")


# By transformers' names (activations.py). Names that differ there only in how they compute the same are equal here
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_python": functional.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_python_tanh": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_accurate": _gelu_tanh,
    "gelu_10": lambda x: functional.gelu(x).clamp(-10, 10),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": functional.relu,
    "relu2": lambda x: functional.relu(x).square(),
    "relu6": functional.relu6,
    "leaky_relu": functional.leaky_relu,
    "silu": functional.silu,
    "swish": functional.silu,
    "mish": functional.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": lambda x: x,
    # Ma et al. 2022, arXiv:2209.10655, section 3.4
    "laplace": lambda x: 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2)))),
}


def activate(name: str, x: Tensor) -> Tensor:
    """Apply the activation that config.json calls `name` to `x`, element by element."""
    return _ACTIVATIONS[name](x)


def layer_norm(config: DistilBertConfig) -> nn.LayerNorm:
    """A layer norm over the channels (Ba et al. 2016, arXiv:1607.06450), with DistilBERT's epsilon."""
    return nn.LayerNorm(config.dim, eps=LAYER_NORM_EPSILON)


class Embeddings(nn.Module):
    """The normalized sum of word and position embeddings: ids (B, T) to (B, T, C)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.dim, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.LayerNorm = layer_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids_BT: Tensor, position_ids_BT: Tensor | None) -> Tensor:
        if position_ids_BT is None:
            position_ids_BT = torch.arange(input_ids_BT.shape[1], device=input_ids_BT.device)[None]
        x_BTC = self.word_embeddings(input_ids_BT) + self.position_embeddings(position_ids_BT)
        normalized: Tensor = self.dropout(self.LayerNorm(x_BTC))
        return normalized


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2): (B, T, C) to (B, T, C)."""

    def __init__(self, config: DistilBertConfig, implementation: attention.Attention) -> None:
        super().__init__()
        self.config = config
        self.implementation = implementation
        self.q_lin = nn.Linear(config.dim, config.dim)
        self.k_lin = nn.Linear(config.dim, config.dim)
        self.v_lin = nn.Linear(config.dim, config.dim)
        self.out_lin = nn.Linear(config.dim, config.dim)

    def forward(self, x_BTC: Tensor, mask: attention.Mask) -> Tensor:
        batch, tokens, _ = x_BTC.shape

        def split(projected_BTC: Tensor) -> Tensor:
            per_head = projected_BTC.view(batch, tokens, self.config.n_heads, self.config.head_dim)
            return per_head.transpose(1, 2)

        context_BHTD = self.implementation.attend(
            split(self.q_lin(x_BTC)),
            split(self.k_lin(x_BTC)),
            split(self.v_lin(x_BTC)),
            mask,
            self.config.attention_dropout if self.training else 0.0,
        )
        merged_BTC = context_BHTD.transpose(1, 2).reshape(batch, tokens, self.config.dim)
        out_BTC: Tensor = self.out_lin(merged_BTC)
        return out_BTC


class FeedForward(nn.Module):
    """Two linear layers with an activation between them (Vaswani et al. 2017, section 3.3): (B, T, C) to (B, T, C)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTC: Tensor) -> Tensor:
        out_BTC: Tensor = self.dropout(self.lin2(activate(self.activation, self.lin1(x_BTC))))
        return out_BTC


class Block(nn.Module):
    """One layer; each residual sum is normalized (Vaswani et al. 2017, section 3.1): (B, T, C) to (B, T, C)."""

    def __init__(self, config: DistilBertConfig, implementation: attention.Attention) -> None:
        super().__init__()
        self.attention = SelfAttention(config, implementation)
        self.sa_layer_norm = layer_norm(config)
        self.ffn = FeedForward(config)
        self.output_layer_norm = layer_norm(config)

    def forward(self, x_BTC: Tensor, mask: attention.Mask) -> Tensor:
        x_BTC = self.sa_layer_norm(x_BTC + self.attention(x_BTC, mask))
        out_BTC: Tensor = self.output_layer_norm(x_BTC + self.ffn(x_BTC))
        return out_BTC


class Transformer(nn.Module):
    """The stack of blocks: (B, T, C) to (B, T, C)."""

    def __init__(self, config: DistilBertConfig, implementation: attention.Attention) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Block(config, implementation) for _ in range(config.n_layers))

    def forward(self, x_BTC: Tensor, mask: attention.Mask) -> Tensor:
        for block in self.layer:
            x_BTC = block(x_BTC, mask)
        return x_BTC


class DistilBert(nn.Module):
    """The encoder: ids (B, T) and mask (B, T), or pairwise (B, T, T), to hidden states (B, T, C).

    `position_ids` (B, T) are 0 to T-1 by default. Raises UnavailableAttentionError if `implementation` cannot run.
    """

    def __init__(self, config: DistilBertConfig, implementation: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.attention = attention.find(implementation)
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config, self.attention)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None
    ) -> Tensor:
        x_BTC = self.embeddings(input_ids, position_ids)
        mask = self.attention.prepare(attention_mask, x_BTC.dtype)
        hidden_BTC: Tensor = self.transformer(x_BTC, mask)
        return hidden_BTC
