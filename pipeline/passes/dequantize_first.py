"""Weights that are dequantized before they are transposed, as engines look for weights in 8 bits."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import Operators, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class _TransposedWeight:
    """One match of the pattern."""

    weight: onnx_ir.Value
    """(out, in), in 8 bits."""

    scale: onnx_ir.Value
    """(out)."""

    zero_point: onnx_ir.Value
    """(out)."""

    output: onnx_ir.Value
    """The weight in floating point, (in, out)."""


# A head that does not share the weight has nothing to rewrite
@graph_pass("dequantize_first", after=("constants", "integer_matmul", "transposes"))
def dequantize_first(graph: Graph) -> PassResult:
    """A weight that is stored transposed is dequantized as it is stored, and transposed afterwards: the same numbers.

    OpenVINO lets the product transpose it, and multiplies 8-bit numbers. With the Transpose between the weight and its
    DequantizeLinear it computes the product in floating point. A tied weight is stored as the embeddings read it.
    """
    return rewrite(graph, _pattern, _TransposedWeight, check=_check, build=_build)


def _pattern(
    op: Operators, weight: onnx_ir.Value, scale: onnx_ir.Value, zero_point: onnx_ir.Value
) -> onnx_ir.Value:
    return op.DequantizeLinear(
        op.Transpose(weight, perm=[1, 0]), scale, zero_point, axis=1, _outputs=["output"]
    )


def _check(match: _TransposedWeight) -> None:
    if array_of(match.weight) is None:
        raise RefusalError(f"{match.weight.name} is not a weight", match.output)


def _build(match: _TransposedWeight, builder: Builder) -> onnx_ir.Value:
    rows, columns = shape_of(match.weight)
    floats = builder.add(
        "DequantizeLinear",
        [match.weight, match.scale, match.zero_point],
        attributes={"axis": 0},
        label="stored",
        shape=[rows, columns],
        dtype=match.output.dtype,
    )
    return builder.add(
        "Transpose",
        [floats],
        attributes={"perm": (1, 0)},
        label="stored",
        shape=[columns, rows],
        dtype=match.output.dtype,
    )
