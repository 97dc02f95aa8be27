"""Residual add and layer norm as one operator."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, epsilon_of, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class _SkipLayerNorm:
    """One match of the pattern."""

    x: onnx_ir.Value
    """One term of the residual sum, (.., channels)."""

    skip: onnx_ir.Value
    """The other term, of the same shape."""

    weight: onnx_ir.Value
    """(channels)."""

    bias: onnx_ir.Value
    """(channels)."""

    output: onnx_ir.Value
    """The normalized sum, of the shape of x."""


@graph_pass("skip_layer_norm", emits=frozenset({MICROSOFT}), per_layer=2)
def skip_layer_norm(graph: Graph) -> PassResult:
    """Add and LayerNormalization as com.microsoft SkipLayerNormalization, with the same epsilon."""
    return rewrite(graph, _pattern, _SkipLayerNorm, check=_check, build=_build)


def _pattern(
    op: Operators, x: onnx_ir.Value, skip: onnx_ir.Value, weight: onnx_ir.Value, bias: onnx_ir.Value
) -> onnx_ir.Value:
    return op.LayerNormalization(op.Add(x, skip), weight, bias, _outputs=["output"])


def _check(match: _SkipLayerNorm) -> None:
    x, skip, output = match.x, match.skip, match.output
    if x.shape is None or x.shape != skip.shape or len(x.shape) not in (2, 3):
        raise RefusalError(f"shapes {x.shape} and {skip.shape} must be the same, with 2 or 3 axes", output)
    axis = node_of(output).attributes.get_int("axis", -1)
    if axis not in (-1, len(x.shape) - 1):
        raise RefusalError(f"normalizes from axis {axis} on, must be the last", output)
    for vector in (match.weight, match.bias):
        if vector.shape is None or vector.shape != x.shape[-1:]:
            raise RefusalError(f"{vector.name} has shape {vector.shape}, must be {x.shape[-1:]}", output)


def _build(match: _SkipLayerNorm, builder: Builder) -> onnx_ir.Value:
    return builder.add(
        "SkipLayerNormalization",
        [match.x, match.skip, match.weight, match.bias],
        attributes={"epsilon": epsilon_of(match.output)},
        shape=shape_of(match.output),
        domain=MICROSOFT,
    )
