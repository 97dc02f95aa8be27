"""Attention as ONNX's own operator, for which TensorRT has fused kernels."""

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.eager_attention import EagerAttention, rewrite_attention
from pipeline.passes.matching.query_axis import with_query_axis
from pipeline.passes.opset import changed, raise_opset
from pipeline.passes.refusal import RefusalError

# The first opset with Attention
OPSET = 23
# Between (batch, tokens, heads, width) and (batch, heads, tokens, width)
_SWAP_TOKENS_AND_HEADS = {"perm": (0, 2, 1, 3)}


@graph_pass("attention_onnx", after=("first_token", "packed_qkv"), per_layer=1)
def attention_onnx(graph: Graph) -> PassResult:
    """Attention as ONNX's Attention (opset 23), on (batch, heads, tokens, width), pairwise masks too.

    The mask is expanded over the queries: ONNX Runtime's kernel rejects a mask whose query axis has to broadcast.
    """
    others = changed(graph, OPSET)
    expanded: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def check(attention: EagerAttention) -> None:
        if others:
            raise RefusalError(f"opset {OPSET} changes {', '.join(others)}, which the graph has too")

    def build(attention: EagerAttention, builder: Builder) -> onnx_ir.Value:
        raise_opset(graph, OPSET)
        heads, width = attention.heads, attention.width
        batch, queries = attention.shape[:2]

        def by_head(value: onnx_ir.Value, sizes: onnx_ir.Value, letter: str) -> onnx_ir.Value:
            tokens = queries if letter == "q" else attention.tokens
            split = builder.add("Reshape", [value, sizes], label=letter, shape=[batch, tokens, heads, width])
            return builder.add(
                "Transpose",
                [split],
                attributes=_SWAP_TOKENS_AND_HEADS,
                label=letter,
                shape=[batch, heads, tokens, width],
            )

        attended = builder.add(
            "Attention",
            [
                by_head(attention.q, attention.split, "q"),
                by_head(attention.k, attention.key_split, "k"),
                by_head(attention.v, attention.value_split, "v"),
                with_query_axis(builder, attention, expanded),
            ],
            attributes={"scale": attention.scale},
            shape=[batch, heads, queries, width],
        )
        turned = builder.add(
            "Transpose",
            [attended],
            attributes=_SWAP_TOKENS_AND_HEADS,
            label="context",
            shape=[batch, queries, heads, width],
        )
        return builder.add("Reshape", [turned, attention.merged], label="context", shape=attention.shape)

    return rewrite_attention(graph, build, check)
