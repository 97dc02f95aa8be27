"""Residual add and layer norm as one operator."""

import onnx_ir
from onnxscript.rewriter.pattern import MatchResult, RewriteRule

from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import (
    MICROSOFT,
    Operators,
    epsilon_of,
    module_of,
    named,
    refuse,
    rewrite,
)


@fusion("skip_layer_norm", emits=frozenset({MICROSOFT}), per_layer=2)
def skip_layer_norm(graph: Graph) -> Applied:
    """Add and LayerNormalization as com.microsoft SkipLayerNormalization, with the same epsilon."""

    def pattern(
        op: Operators,
        x: onnx_ir.Value,
        skip: onnx_ir.Value,
        weight: onnx_ir.Value,
        bias: onnx_ir.Value,
    ) -> onnx_ir.Value:
        return op.LayerNormalization(op.Add(x, skip), weight, bias, _outputs=["normalized"])

    def check(
        op: Operators,
        x: onnx_ir.Value,
        skip: onnx_ir.Value,
        weight: onnx_ir.Value,
        bias: onnx_ir.Value,
        normalized: onnx_ir.Value,
    ) -> MatchResult:
        if x.shape is None or x.shape != skip.shape or len(x.shape) not in (2, 3):
            return refuse(f"shapes {x.shape} and {skip.shape} must be the same, with 2 or 3 axes", normalized)
        node = normalized.producer()
        assert node is not None
        axis = node.attributes.get_int("axis", -1)
        if axis not in (-1, len(x.shape) - 1):
            return refuse(f"normalizes from axis {axis} on, must be the last", normalized)
        for vector in (weight, bias):
            if vector.shape is None or vector.shape != x.shape[-1:]:
                return refuse(f"{vector.name} has shape {vector.shape}, must be {x.shape[-1:]}", normalized)
        return MatchResult()

    def replacement(
        op: Operators,
        x: onnx_ir.Value,
        skip: onnx_ir.Value,
        weight: onnx_ir.Value,
        bias: onnx_ir.Value,
        normalized: onnx_ir.Value,
    ) -> onnx_ir.Value:
        assert normalized.shape is not None
        fused = op.SkipLayerNormalization(
            x,
            skip,
            weight,
            bias,
            epsilon=epsilon_of(normalized),
            _domain=MICROSOFT,
        )
        return named(fused, f"{module_of(normalized)}/SkipLayerNormalization", shape=normalized.shape)

    return rewrite(graph, RewriteRule(pattern, replacement, check))
