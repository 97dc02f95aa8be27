"""Attention as ONNX Runtime's MultiHeadAttention, the mask as its attention_bias."""

import onnx_ir

from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.eager_attention import EagerAttention, eager_attention_rule
from pipeline.passes.matching.query_axis import with_query_axis
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, named, rewrite


@fusion("attention_mha", emits=frozenset({MICROSOFT}), after=("first_token", "packed_qkv"), per_layer=1)
def attention_mha(graph: Graph) -> Applied:
    """Attention as com.microsoft MultiHeadAttention with the additive mask as its bias, pairwise masks too.

    Expanding the mask once and handing it over as attention_bias beats key_padding_mask, which the operator turns into
    an additive mask again in every layer.
    """
    masks: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def build(found: EagerAttention, op: Operators) -> onnx_ir.Value:
        context = op.MultiHeadAttention(
            found.q,
            found.k,
            found.v,
            None,
            None,
            with_query_axis(graph, op, found, masks),
            num_heads=found.heads,
            scale=found.scale,
            _domain=MICROSOFT,
        )
        return named(context, f"{found.module}/MultiHeadAttention", shape=found.shape)

    return rewrite(graph, eager_attention_rule(build))
