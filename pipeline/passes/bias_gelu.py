"""A linear layer's bias and the GELU after it as one operator."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class _BiasGelu:
    """One match of the pattern."""

    x: onnx_ir.Value
    """The product without its bias, (.., channels)."""

    bias: onnx_ir.Value
    """(channels)."""

    output: onnx_ir.Value
    """GELU of the sum, of the shape of x."""


@graph_pass("bias_gelu", emits=frozenset({MICROSOFT}), per_layer=1)
def bias_gelu(graph: Graph) -> PassResult:
    """Add and Gelu as com.microsoft BiasGelu; the tanh approximation is another function and is refused."""
    return rewrite(graph, _pattern, _BiasGelu, check=_check, build=_build)


def _pattern(op: Operators, x: onnx_ir.Value, bias: onnx_ir.Value) -> onnx_ir.Value:
    return op.Gelu(op.Add(x, bias), _outputs=["output"])


def _check(match: _BiasGelu) -> None:
    approximate = node_of(match.output).attributes.get_string("approximate", "none")
    if approximate != "none":
        raise RefusalError(f"GELU by its {approximate} approximation is another function", match.output)
    array = array_of(match.bias)
    if array is None or match.x.shape is None or array.shape != tuple(match.x.shape[-1:]):
        observed = "not constant" if array is None else f"of shape {array.shape}"
        raise RefusalError(
            f"the bias {match.bias.name} is {observed}, must be a constant with one number for each channel",
            match.output,
        )


def _build(match: _BiasGelu, builder: Builder) -> onnx_ir.Value:
    return builder.add("BiasGelu", [match.x, match.bias], shape=shape_of(match.output), domain=MICROSOFT)
