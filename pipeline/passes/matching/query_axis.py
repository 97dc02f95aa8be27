"""An additive mask with its query axis spelt out, which neither attention operator broadcasts over."""

import numpy as np
import onnx_ir

from pipeline.graph.file import Graph
from pipeline.passes.matching.eager_attention import EagerAttention
from pipeline.passes.matching.rewriting import Operators, constant, module_of, named


def with_query_axis(
    graph: Graph,
    op: Operators,
    attention: EagerAttention,
    done: dict[onnx_ir.Value, onnx_ir.Value],
) -> onnx_ir.Value:
    """`attention.mask` as (B, 1, Q, T): itself where it has all queries, else expanded, once for all (`done`)."""
    mask = attention.mask
    if attention.is_pairwise or attention.is_one_query:
        return mask
    if mask not in done:
        module = module_of(mask)
        batch, tokens = attention.shape[:2]
        axis = np.array([1], dtype=np.int64)
        length = op.Shape(mask, start=3, end=4)
        sizes = op.Concat(
            constant(graph, np.array([1, 1], dtype=np.int64)), length, constant(graph, axis), axis=0
        )
        done[mask] = op.Expand(mask, sizes)
        named(length, f"{module}/Shape_mask", shape=[1], dtype=onnx_ir.DataType.INT64)
        named(sizes, f"{module}/Concat_mask", shape=[4], dtype=onnx_ir.DataType.INT64)
        named(done[mask], f"{module}/Expand_mask", shape=[batch, 1, tokens, tokens])
    return done[mask]
