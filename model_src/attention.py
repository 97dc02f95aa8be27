"""Three implementations of scaled dot-product attention (Vaswani et al. 2017): eager, sdpa and flash.

Vaswani and others: Attention Is All You Need, arXiv:1706.03762.
Shape suffixes: B batch, H attention heads, T tokens (queries), S tokens (keys), D width of one head.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from model_src.errors import UnavailableAttentionError

MASKED_SCORE = -10000.0
"""The score of a masked token.

It is finite, so that fp16 and the scales of 8-bit types can represent it and a row without any token to attend to stays
finite. exp(-10000) is exactly 0 in fp32, fp16 and bf16, so answers equal those with -infinity.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRows:
    """Where the real tokens of a batch are after padding is dropped."""

    real: Tensor
    """Indices of the real tokens in the flattened (B * T), int64."""
    starts: Tensor
    """The index of the first packed token of each row, and the end of the last row; (B + 1), int32."""
    longest: int
    """The number of tokens in the longest row."""


Mask = Tensor | PackedRows
"""A mask in the form of one implementation."""


class Attention(Protocol):
    """An implementation. It converts the caller's mask once, and then attends once per layer."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> Mask:
        """The implementation's form of `mask`, which is (B, S), or (B, T, S) for pairwise masks; nonzero means attend.

        Raises UnavailableAttentionError if the implementation cannot use the mask, its device or `dtype`.
        """

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        """softmax(q k^T / sqrt(D) + mask) v, (B, H, T, D); `dropout` is the probability of dropping a weight."""


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `mask` is nonzero and MASKED_SCORE elsewhere; (B, 1, 1, S), or (B, 1, T, S) for a pairwise mask."""
    mask_B1TS = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None, :, :]
    return mask_B1TS.eq(0).to(dtype) * MASKED_SCORE


class Eager:
    """Attention written out: softmax(q k^T / sqrt(D) + mask) v (Vaswani et al. 2017, equation 1)."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        return additive(mask, dtype)

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        assert isinstance(mask, Tensor)
        scores_BHTS = (q_BHTD / math.sqrt(q_BHTD.shape[-1])) @ k_BHSD.transpose(2, 3) + mask
        weights_BHTS = functional.dropout(scores_BHTS.softmax(dim=-1), dropout, training=dropout > 0)
        return weights_BHTS @ v_BHSD


class Sdpa:
    """PyTorch's scaled_dot_product_attention, which chooses a fused kernel for the device."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        return additive(mask, dtype)

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        assert isinstance(mask, Tensor)
        return functional.scaled_dot_product_attention(
            q_BHTD, k_BHSD, v_BHSD, attn_mask=mask, dropout_p=dropout
        )


class Flash:
    """The flash-attn package, on the real tokens only; it needs CUDA, and fp16 or bf16.

    Source: Dao 2023, FlashAttention-2, arXiv:2307.08691.
    """

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> PackedRows:
        if mask.dim() != 2:
            raise UnavailableAttentionError(
                f"flash attention needs a mask of 2 dimensions, (batch, tokens); found {mask.dim()} dimensions",
                hint="use attention='sdpa' for pairwise masks",
            )
        if not mask.is_cuda:
            raise UnavailableAttentionError(
                f"flash attention needs a CUDA device; the input is on {mask.device}",
                hint="use attention='sdpa'",
            )
        if dtype not in (torch.float16, torch.bfloat16):
            raise UnavailableAttentionError(
                f"flash attention needs float16 or bfloat16; the model is {dtype}",
                hint="model.half() or model.bfloat16(), or attention='sdpa'",
            )
        lengths_B = mask.ne(0).sum(dim=1, dtype=torch.int32)
        return PackedRows(
            real=mask.ne(0).flatten().nonzero().flatten(),
            starts=functional.pad(lengths_B.cumsum(0, dtype=torch.int32), (1, 0)),
            longest=int(lengths_B.max()),
        )

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        from flash_attn import flash_attn_varlen_func

        assert isinstance(mask, PackedRows)
        batch, heads, tokens, width = q_BHTD.shape

        def packed(x_BHTD: Tensor) -> Tensor:
            return x_BHTD.transpose(1, 2).reshape(batch * tokens, heads, width)[mask.real]

        context = q_BHTD.new_zeros(batch * tokens, heads, width)
        context[mask.real] = flash_attn_varlen_func(
            packed(q_BHTD),
            packed(k_BHSD),
            packed(v_BHSD),
            mask.starts,
            mask.starts,
            mask.longest,
            mask.longest,
            dropout_p=dropout,
        )
        return context.view(batch, tokens, heads, width).transpose(1, 2)


IMPLEMENTATIONS = ("eager", "sdpa", "flash")


def find(name: str) -> Attention:
    """The implementation called `name`; raises UnavailableAttentionError if it is unknown or cannot run here."""
    if name == "eager":
        return Eager()
    if name == "sdpa":
        return Sdpa()
    if name == "flash":
        _require_flash()
        return Flash()
    raise UnavailableAttentionError(
        f"unknown attention implementation {name!r}", hint=f"one of {', '.join(IMPLEMENTATIONS)}"
    )


def _require_flash() -> None:
    if not torch.cuda.is_available():
        raise UnavailableAttentionError(
            "flash attention needs a CUDA device, and PyTorch does not see one", hint="use attention='sdpa'"
        )
    try:
        import flash_attn  # noqa: F401
    except ImportError as cause:
        raise UnavailableAttentionError(
            f"flash attention needs the flash-attn package, which cannot be imported: {cause}",
            hint="pip install flash-attn --no-build-isolation, or use attention='sdpa'",
        ) from cause
