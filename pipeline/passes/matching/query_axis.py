"""Expands an additive mask to a row for each query, because the attention operators do not broadcast over rows."""

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.values import module_of_value
from pipeline.passes.matching.eager_attention import EagerAttention


def with_query_axis(
    builder: Builder, attention: EagerAttention, expanded: dict[onnx_ir.Value, onnx_ir.Value]
) -> onnx_ir.Value:
    """`attention.mask` as (B, 1, Q, T): itself where it has all queries, else expanded.

    `expanded` keeps the result for each mask, so that all layers share it.
    """
    mask = attention.mask
    if attention.is_pairwise or attention.is_one_query:
        return mask
    if mask not in expanded:
        builder = builder.in_module(module_of_value(mask))
        batch, tokens = attention.shape[:2]
        length = builder.add(
            "Shape",
            [mask],
            attributes={"start": 3, "end": 4},
            label="mask",
            shape=[1],
            dtype=onnx_ir.DataType.INT64,
        )
        sizes = builder.add(
            "Concat",
            [builder.sizes(1, 1), length, builder.sizes(1)],
            attributes={"axis": 0},
            label="mask",
            shape=[4],
            dtype=onnx_ir.DataType.INT64,
        )
        expanded[mask] = builder.add("Expand", [mask, sizes], label="mask", shape=[batch, 1, tokens, tokens])
    return expanded[mask]
