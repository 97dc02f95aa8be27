"""Attention as ONNX's own operator, which TensorRT turns into its fused kernels."""

import onnx_ir

from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.eager_attention import EagerAttention, eager_attention_rule
from pipeline.passes.matching.query_axis import with_query_axis
from pipeline.passes.matching.rewriting import Operators, named, rewrite
from pipeline.passes.opset import changed, raise_opset

# The first opset with Attention
OPSET = 23


@fusion("attention_onnx", after=("first_token", "packed_qkv"), per_layer=1)
def attention_onnx(graph: Graph) -> Applied:
    """Attention as ONNX's Attention (opset 23), on (batch, heads, tokens, width), pairwise masks too.

    The mask is expanded over the queries, since ONNX Runtime's kernel takes a broadcast query axis for an error.
    """
    others = changed(graph, OPSET)
    if others:
        return Applied(rewrites=0, refusals=(f"opset {OPSET} changes {', '.join(others)}",))
    masks: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def build(found: EagerAttention, op: Operators) -> onnx_ir.Value:
        raise_opset(graph, OPSET)
        batch, queries = found.shape[:2]

        def heads(value: onnx_ir.Value, sizes: onnx_ir.Value, letter: str) -> onnx_ir.Value:
            split = op.Reshape(value, sizes)
            turned = op.Transpose(split, perm=[0, 2, 1, 3])
            tokens = queries if letter == "q" else found.tokens
            named(split, f"{found.module}/Reshape_{letter}", shape=[batch, tokens, found.heads, found.width])
            by_head = [batch, found.heads, tokens, found.width]
            return named(turned, f"{found.module}/Transpose_{letter}", shape=by_head)

        attended = op.Attention(
            heads(found.q, found.split, "q"),
            heads(found.k, found.key_split, "k"),
            heads(found.v, found.value_split, "v"),
            with_query_axis(graph, op, found, masks),
            scale=found.scale,
        )
        turned = op.Transpose(attended, perm=[0, 2, 1, 3])
        context = op.Reshape(turned, found.merged)
        named(attended, f"{found.module}/Attention", shape=[batch, found.heads, queries, found.width])
        named(turned, f"{found.module}/Transpose_context", shape=[batch, queries, found.heads, found.width])
        return named(context, f"{found.module}/Reshape_context", shape=found.shape)

    return rewrite(graph, eager_attention_rule(build))
