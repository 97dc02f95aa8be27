"""Attention as ONNX Runtime's MultiHeadAttention, the mask as its attention_bias."""

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.eager_attention import EagerAttention, rewrite_attention
from pipeline.passes.matching.query_axis import with_query_axis
from pipeline.passes.matching.rewriting import MICROSOFT


@graph_pass("attention_mha", emits=frozenset({MICROSOFT}), after=("first_token", "packed_qkv"), per_layer=1)
def attention_mha(graph: Graph) -> PassResult:
    """Attention as com.microsoft MultiHeadAttention with the additive mask as its bias, pairwise masks too.

    The mask is expanded once and passed as attention_bias. This is faster than key_padding_mask, which the operator
    turns into an additive mask again in every layer.
    """
    expanded: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def build(attention: EagerAttention, builder: Builder) -> onnx_ir.Value:
        no_bias = no_key_padding_mask = None
        return builder.add(
            "MultiHeadAttention",
            [
                attention.q,
                attention.k,
                attention.v,
                no_bias,
                no_key_padding_mask,
                with_query_axis(builder, attention, expanded),
            ],
            attributes={"num_heads": attention.heads, "scale": attention.scale},
            shape=attention.shape,
            domain=MICROSOFT,
        )

    return rewrite_attention(graph, build)
