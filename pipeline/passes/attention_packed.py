"""Attention and the packed projections before it as ONNX Runtime's Attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, rewrite
from pipeline.passes.refusal import RefusalError

_QUERIES_KEYS_VALUES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """One match of the pattern."""

    x: onnx_ir.Value
    """What is projected, (B, T, channels)."""

    weight: onnx_ir.Value
    """The weights of queries, keys and values beside each other, (channels, 3 * channels)."""

    bias: onnx_ir.Value
    """(3 * channels)."""

    sizes: onnx_ir.Value
    """How many of those columns are queries, keys and values."""

    mask: onnx_ir.Value
    """What is added to the scores, (B or 1, N or 1, T, T)."""

    output: onnx_ir.Value
    """The output of attention, (B, T, channels)."""


@graph_pass("attention_packed", emits=frozenset({MICROSOFT}), after=("packed_qkv", "attention_mha"))
def attention_packed(graph: Graph) -> PassResult:
    """MultiHeadAttention and the packed projections of its queries, keys and values as com.microsoft Attention.

    On a GPU, one kernel then adds the bias and splits the heads. There is no number of rewrites that it must make: a
    layer whose queries are only the first token keeps its MultiHeadAttention.
    """
    return rewrite(graph, _pattern, _Packed, check=_check, build=_build)


def _pattern(
    op: Operators,
    x: onnx_ir.Value,
    weight: onnx_ir.Value,
    bias: onnx_ir.Value,
    sizes: onnx_ir.Value,
    mask: onnx_ir.Value,
) -> onnx_ir.Value:
    packed = op.Add(op.MatMul(x, weight), bias)
    # With several outputs it returns them all
    q, k, v = cast("Sequence[onnx_ir.Value]", op.Split(packed, sizes, axis=-1, _outputs=_QUERIES_KEYS_VALUES))
    return op.MultiHeadAttention(q, k, v, None, None, mask, _domain=MICROSOFT, _outputs=["output"])


def _check(match: _Packed) -> None:
    sizes = array_of(match.sizes)
    if sizes is None or len(set(sizes.tolist())) > 1:
        raise RefusalError("queries, keys and values must have the same number of columns", match.output)
    for projection in (match.weight, match.bias):
        if array_of(projection) is None:
            raise RefusalError(f"{projection.name} must be a constant", match.output)


def _build(match: _Packed, builder: Builder) -> onnx_ir.Value:
    attributes = node_of(match.output).attributes
    no_mask_index = no_past = None
    return builder.add(
        "Attention",
        [match.x, match.weight, match.bias, no_mask_index, no_past, match.mask],
        attributes={
            "num_heads": attributes.get_int("num_heads", 0),
            "scale": attributes.get_float("scale", 0.0),
        },
        shape=shape_of(match.output),
        domain=MICROSOFT,
    )
