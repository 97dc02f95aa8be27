"""8-bit weights as initializers of a graph, and the nodes that read them."""

import numpy as np
import onnx_ir

from pipeline.graph.builder import constant, insert
from pipeline.graph.file import Graph
from pipeline.precision.layers.linear import Linear
from pipeline.precision.numbers.grids import Grid
from pipeline.precision.weights import rounding


def add_quantized(
    graph: Graph, linear: Linear, *, grid: Grid, half_scales: bool = False
) -> tuple[onnx_ir.Value, onnx_ir.Value]:
    """The weight of `linear` as (in, out) numbers of `grid`, and its (out) scales; the layer still reads the old one.

    A weight that an embedding reads too is stored once, as the embedding's table (out, in), and a Transpose turns its
    numbers. With `half_scales`, fp16 holds every scale exactly.
    """
    name = str(linear.initializer.name)
    matrix, axis = (linear.weight.T, 0) if linear.tied else (linear.weight, 1)
    numbers, scales = rounding.quantize(linear.module, matrix, axis=axis, grid=grid, half_scales=half_scales)
    quantized = constant(graph, f"{name}_quantized", numbers)
    if linear.tied:
        quantized = insert(
            graph,
            linear.node,
            "Transpose",
            [quantized],
            name=f"{linear.module}/Transpose",
            dtype=grid.dtype,
            shape=onnx_ir.Shape(numbers.shape[::-1]),
            attributes={"perm": (1, 0)},
        )
    return quantized, constant(graph, f"{name}_scale", scales)


def dequantize(
    graph: Graph,
    before: onnx_ir.Node,
    name: str,
    numbers: onnx_ir.Value,
    scale: onnx_ir.Value,
    grid: Grid,
    *,
    axis: int,
) -> onnx_ir.Value:
    """`numbers` of `grid` as floats, with a scale for each index of `axis`, by a new node before `before`."""
    return insert(
        graph,
        before,
        "DequantizeLinear",
        [numbers, scale, _zero_points(graph, scale, grid)],
        name=f"{name}/DequantizeLinear",
        dtype=onnx_ir.DataType.FLOAT,
        shape=numbers.shape,
        attributes={"axis": axis},
    )


def _zero_points(graph: Graph, scale: onnx_ir.Value, grid: Grid) -> onnx_ir.Value:
    """A zero for each element of `scale`."""
    assert scale.const_value is not None
    count = scale.const_value.size
    return constant(graph, f"{grid.name}_zeros_{count}", np.repeat(grid.zero, count))
