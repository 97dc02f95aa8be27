"""Three ways to compute the same attention: eager, sdpa and flash.

Shape suffixes: B batch, H attention heads, T tokens (queries), S tokens (keys), D width of one head.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from model_src.errors import UnavailableAttentionError

# Bounded so that it survives fp16 and 8-bit scales; exp(-10000) is exactly 0 in every float format we use, so
# answers equal those of a mask of -infinity, and a row with nothing to attend to stays finite.
MASKED_SCORE = -10000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRows:
    """Where the real tokens of a batch lie once padding is dropped."""

    real: Tensor
    """Flat indices of the real tokens."""
    starts: Tensor
    """First packed token of each row, and the end of the last; (B + 1) of int32."""
    longest: int
    """Tokens in the longest row."""


Mask = Tensor | PackedRows


class Attention(Protocol):
    """One implementation: turns the caller's mask into its own form once, then attends once a layer."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> Mask:
        """`mask` is (B, S), or (B, T, S) for pairwise masks; nonzero means attend."""

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        """Context of shape (B, H, T, D)."""


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `mask` says attend and MASKED_SCORE elsewhere; (B, 1, 1, S) or, from a pairwise mask, (B, 1, T, S)."""
    mask_B1TS = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None, :, :]
    return mask_B1TS.eq(0).to(dtype) * MASKED_SCORE


class Eager:
    """softmax(q k^T / sqrt(D) + mask) v, written out (Vaswani et al. 2017, equation 1)."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        return additive(mask, dtype)

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        assert isinstance(mask, Tensor)
        scores_BHTS = (q_BHTD / math.sqrt(q_BHTD.shape[-1])) @ k_BHSD.transpose(2, 3) + mask
        weights_BHTS = functional.dropout(scores_BHTS.softmax(dim=-1), dropout, training=dropout > 0)
        return weights_BHTS @ v_BHSD


class Sdpa:
    """torch's scaled_dot_product_attention, which picks a fused kernel for the device."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        return additive(mask, dtype)

    def attend(self, q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Mask, dropout: float) -> Tensor:
        assert isinstance(mask, Tensor)
        return functional.scaled_dot_product_attention(
            q_BHTD, k_BHSD, v_BHSD, attn_mask=mask, dropout_p=dropout
        )


class Flash:
    """The flash-attn package on the real tokens only (CUDA, fp16 or bf16). Dao 2023, FlashAttention-2."""

    def prepare(self, mask: Tensor, dtype: torch.dtype) -> PackedRows:
        if mask.dim() != 2:
            raise UnavailableAttentionError(
                f"flash attention takes a (batch, tokens) mask, found {mask.dim()} dimensions",
                hint="use attention='sdpa' for pairwise masks",
            )
        if not mask.is_cuda:
            raise UnavailableAttentionError(
                f"flash attention needs a CUDA device, the input is on {mask.device}",
                hint="use attention='sdpa'",
            )
        if dtype not in (torch.float16, torch.bfloat16):
            raise UnavailableAttentionError(
                f"flash attention needs float16 or bfloat16, the model is {dtype}",
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
    """The implementation called `name`; UnavailableAttentionError where it is unknown or cannot run here."""
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
            "flash attention needs a CUDA device, and torch sees none", hint="use attention='sdpa'"
        )
    try:
        import flash_attn  # noqa: F401
    except ImportError as cause:
        raise UnavailableAttentionError(
            f"flash attention needs the flash-attn package, which does not import: {cause}",
            hint="pip install flash-attn --no-build-isolation, or use attention='sdpa'",
        ) from cause
