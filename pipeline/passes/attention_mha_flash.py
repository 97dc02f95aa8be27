"""Attention as ONNX Runtime's MultiHeadAttention without a mask, which is what its CPU flash kernel asks for."""

import numpy as np
import onnx_ir
from onnxscript.rewriter.pattern import MatchResult

from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.eager_attention import EagerAttention, eager_attention_rule
from pipeline.passes.matching.rewriting import (
    MICROSOFT,
    Operators,
    constant,
    module_of,
    named,
    refuse,
    rewrite,
)


@fusion("attention_mha_flash", emits=frozenset({MICROSOFT}), after=("first_token", "packed_qkv"), per_layer=1)
def attention_mha_flash(graph: Graph) -> Applied:
    """Attention as MultiHeadAttention whose mask is one more column of the keys, so that the flash kernel runs.

    With q' = (q, 1) and k' = (k, mask / scale) the scores scale * q' k' are scale * q k + mask. A mask with a row for
    each query is no column of the keys and is refused. -10000 / scale leaves fp16's range: fp32 only.
    """
    columns: dict[onnx_ir.Value, tuple[onnx_ir.Value, onnx_ir.Value]] = {}

    def check(found: EagerAttention) -> MatchResult:
        if found.is_pairwise:
            return refuse(
                f"the mask {found.mask.name} has a row for each query, which a column of the keys cannot hold; "
                "use attention_mha",
                found.mask,
            )
        if found.is_one_query:
            return refuse(
                f"{found.q.name} has one query, which the flash kernel gains nothing by; use attention_mha",
                found.q,
            )
        return MatchResult()

    def build(found: EagerAttention, op: Operators) -> onnx_ir.Value:
        if found.mask not in columns:
            columns[found.mask] = _columns(graph, op, found)
        ones, masks = columns[found.mask]
        context = op.MultiHeadAttention(
            _widened(graph, op, found, found.q, ones, "q"),
            _widened(graph, op, found, found.k, masks, "k"),
            found.v,
            num_heads=found.heads,
            scale=found.scale,
            _domain=MICROSOFT,
        )
        return named(context, f"{found.module}/MultiHeadAttention", shape=found.shape)

    return rewrite(graph, eager_attention_rule(build, check))


def _columns(graph: Graph, op: Operators, found: EagerAttention) -> tuple[onnx_ir.Value, onnx_ir.Value]:
    """What each head's queries and keys are widened by, (B, T, N, 1): ones, and the mask over the scale."""
    module = module_of(found.mask)
    batch, tokens = found.shape[:2]
    scaled = op.Mul(found.mask, constant(graph, np.array(1.0 / found.scale, dtype=np.float32)))
    turned = op.Transpose(scaled, perm=[0, 3, 1, 2])
    masks = op.Expand(turned, constant(graph, np.array([1, 1, found.heads, 1], dtype=np.int64)))
    sizes = op.Shape(masks)
    ones = op.ConstantOfShape(sizes, value=onnx_ir.tensor(np.ones(1, dtype=np.float32)))
    named(scaled, f"{module}/Mul_scale", shape=[batch, 1, 1, tokens])
    named(turned, f"{module}/Transpose_mask", shape=[batch, tokens, 1, 1])
    named(masks, f"{module}/Expand_mask", shape=[batch, tokens, found.heads, 1])
    named(sizes, f"{module}/Shape_mask", shape=[4], dtype=onnx_ir.DataType.INT64)
    named(ones, f"{module}/ConstantOfShape", shape=[batch, tokens, found.heads, 1])
    return ones, masks


def _widened(
    graph: Graph,
    op: Operators,
    found: EagerAttention,
    value: onnx_ir.Value,
    column: onnx_ir.Value,
    letter: str,
) -> onnx_ir.Value:
    """`value` (B, T, N * D) with `column` appended to each head, (B, T, N * (D + 1))."""
    batch, tokens = found.shape[:2]
    heads, width = found.heads, found.width + 1
    split = op.Reshape(value, found.split)
    wide = op.Concat(split, column, axis=-1)
    # 0 keeps an axis as it is
    merged = op.Reshape(wide, constant(graph, np.array([0, 0, heads * width], dtype=np.int64)))
    named(split, f"{found.module}/Reshape_{letter}", shape=[batch, tokens, heads, width - 1])
    named(wide, f"{found.module}/Concat_{letter}", shape=[batch, tokens, heads, width])
    return named(merged, f"{found.module}/Reshape_{letter}_wide", shape=[batch, tokens, heads * width])
