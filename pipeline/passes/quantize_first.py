"""Numbers that are quantized before they are transposed, where an engine can do it with what computes them."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder, attributes_of
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, dtype_of, node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import Operators, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class _QuantizedLate:
    """One match of the pattern."""

    x: onnx_ir.Value
    """The output of attention for each head, (batch, heads, tokens, width)."""

    transposed: onnx_ir.Value
    """(batch, tokens, heads, width)."""

    reshaped: onnx_ir.Value
    """(batch, tokens, heads * width)."""

    sizes: onnx_ir.Value
    """What it is reshaped to, (3)."""

    scale: onnx_ir.Value
    """()."""

    zero_point: onnx_ir.Value
    """()."""

    output: onnx_ir.Value
    """(batch, tokens, heads * width), in 8 bits."""


@graph_pass("quantize_first", after=("flatten_tokens", "single_query", "constants", "integer_matmul"))
def quantize_first(graph: Graph) -> PassResult:
    """The output of attention is quantized before its heads are put side by side: the same numbers.

    OpenVINO quantizes it as it computes it, and transposes 8-bit numbers. Behind the Transpose it quantizes 32-bit
    numbers in a step of its own.
    """
    return rewrite(graph, _pattern, _QuantizedLate, check=_check, build=_build)


def _pattern(
    op: Operators,
    x: onnx_ir.Value,
    sizes: onnx_ir.Value,
    scale: onnx_ir.Value,
    zero_point: onnx_ir.Value,
) -> onnx_ir.Value:
    transposed = op.Transpose(x, _outputs=["transposed"])
    reshaped = op.Reshape(transposed, sizes, _outputs=["reshaped"])
    return op.QuantizeLinear(reshaped, scale, zero_point, _outputs=["output"])


def _check(match: _QuantizedLate) -> None:
    scale = array_of(match.scale)
    if scale is None or scale.size != 1:
        raise RefusalError("it has more than one scale, whose axis would be another", match.output)


def _build(match: _QuantizedLate, builder: Builder) -> onnx_ir.Value:
    value = match.x
    # The same three nodes, the last one first
    for late, others in (
        (match.output, [match.scale, match.zero_point]),
        (match.transposed, []),
        (match.reshaped, [match.sizes]),
    ):
        node = node_of(late)
        value = builder.add(
            node.op_type,
            [value, *others],
            attributes=attributes_of(node),
            label="first",
            shape=shape_of(match.x if late is match.output else late),
            dtype=dtype_of(match.output),
        )
    return value
