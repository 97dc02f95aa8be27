"""Attention as ONNX Runtime's MultiHeadAttention without a mask, as its CPU flash kernel requires."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import module_of_value
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.eager_attention import EagerAttention, rewrite_attention
from pipeline.passes.matching.rewriting import MICROSOFT
from pipeline.passes.refusal import RefusalError

# From (B, 1, 1, T) to (B, T, 1, 1)
_TO_COLUMN = {"perm": (0, 3, 1, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The columns (B, T, N, 1) that carry a mask."""

    ones: onnx_ir.Value
    """The column that is appended to each head's queries."""

    masks: onnx_ir.Value
    """The column that is appended to each head's keys: the mask divided by the scale of the scores."""


@graph_pass(
    "attention_mha_flash", emits=frozenset({MICROSOFT}), after=("first_token", "packed_qkv"), per_layer=1
)
def attention_mha_flash(graph: Graph) -> PassResult:
    """Attention as MultiHeadAttention whose mask is one more column of the keys, so that the flash kernel runs.

    With q' = (q, 1) and k' = (k, mask / scale), the scores scale * q' k' are scale * q k + mask. A mask with a row for
    each query does not fit into a column of the keys and is refused. -10000 / scale is beyond fp16: fp32 only.
    """
    columns: dict[onnx_ir.Value, _Columns] = {}

    def build(attention: EagerAttention, builder: Builder) -> onnx_ir.Value:
        if attention.mask not in columns:
            columns[attention.mask] = _columns(builder, attention)
        mask = columns[attention.mask]
        return builder.add(
            "MultiHeadAttention",
            [
                _widened(builder, attention, attention.q, mask.ones, "q"),
                _widened(builder, attention, attention.k, mask.masks, "k"),
                attention.v,
            ],
            attributes={"num_heads": attention.heads, "scale": attention.scale},
            shape=attention.shape,
            domain=MICROSOFT,
        )

    return rewrite_attention(graph, build, _check)


def _check(attention: EagerAttention) -> None:
    if attention.is_pairwise:
        raise RefusalError(
            f"the mask {attention.mask.name} has a row for each query, which does not fit into a column of the keys; "
            "use attention_mha",
            attention.mask,
        )
    if attention.is_one_query:
        raise RefusalError(
            f"{attention.q.name} has one query, for which the flash kernel is not faster; use attention_mha",
            attention.q,
        )


def _columns(builder: Builder, attention: EagerAttention) -> _Columns:
    builder = builder.in_module(module_of_value(attention.mask))
    heads, (batch, tokens) = attention.heads, attention.shape[:2]
    factor = builder.constant(np.array(1.0 / attention.scale, dtype=np.float32))
    repeats = builder.sizes(1, 1, heads, 1)
    one = onnx_ir.tensor(np.ones(1, dtype=np.float32))
    int64 = onnx_ir.DataType.INT64
    scaled = builder.add("Mul", [attention.mask, factor], label="scale", shape=[batch, 1, 1, tokens])
    turned = builder.add(
        "Transpose", [scaled], attributes=_TO_COLUMN, label="mask", shape=[batch, tokens, 1, 1]
    )
    masks = builder.add("Expand", [turned, repeats], label="mask", shape=[batch, tokens, heads, 1])
    sizes = builder.add("Shape", [masks], label="mask", shape=[4], dtype=int64)
    ones = builder.add("ConstantOfShape", [sizes], attributes={"value": one}, shape=[batch, tokens, heads, 1])
    return _Columns(ones=ones, masks=masks)


def _widened(
    builder: Builder, attention: EagerAttention, value: onnx_ir.Value, column: onnx_ir.Value, letter: str
) -> onnx_ir.Value:
    """`value` (B, T, N * D) with `column` appended to each head, (B, T, N * (D + 1))."""
    batch, tokens = attention.shape[:2]
    heads, width = attention.heads, attention.width
    split = builder.add(
        "Reshape", [value, attention.split], label=letter, shape=[batch, tokens, heads, width]
    )
    wide = builder.add(
        "Concat",
        [split, column],
        attributes={"axis": -1},
        label=letter,
        shape=[batch, tokens, heads, width + 1],
    )
    # 0 keeps an axis as it is
    merged = builder.sizes(0, 0, heads * (width + 1))
    return builder.add(
        "Reshape", [wide, merged], label=f"{letter}_wide", shape=[batch, tokens, heads * (width + 1)]
    )
