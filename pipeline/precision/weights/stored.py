"""Weights of linear layers as 8-bit initializers in place of the float ones."""

import numpy as np
import onnx_ir

from pipeline.graph.builder import constant, insert, replace
from pipeline.graph.file import Graph
from pipeline.precision.layers.linear import Linear
from pipeline.precision.ranges.grids import Grid
from pipeline.precision.weights import weights


def store(
    graph: Graph, linear: Linear, *, grid: Grid, half: bool = False
) -> tuple[onnx_ir.Value, onnx_ir.Value]:
    """The weight of `linear` as (in, out) numbers of `grid`, and its (out) scales; the layer itself is left as it is.

    A weight that an embedding reads too is stored once, as the embedding's table, and transposed on the way. With
    `half`, scales are such as fp16 holds.
    """
    name = str(linear.stored.name)
    if not linear.tied:
        numbers, scales = weights.quantize(linear.module, linear.weight, axis=1, grid=grid, half=half)
        return constant(graph, f"{name}_quantized", numbers), constant(graph, f"{name}_scale", scales)
    table = linear.weight.T
    numbers, scales = weights.quantize(linear.module, table, axis=0, grid=grid, half=half)
    stored = constant(graph, f"{name}_quantized", numbers)
    turned = insert(
        graph,
        linear.node,
        "Transpose",
        [stored],
        name=f"{linear.module}/Transpose",
        dtype=grid.dtype,
        shape=onnx_ir.Shape(numbers.shape[::-1]),
        attributes={"perm": (1, 0)},
    )
    return turned, constant(graph, f"{name}_scale", scales)


def zeros(graph: Graph, scale: onnx_ir.Value, grid: Grid) -> onnx_ir.Value:
    """The zero points of symmetric weights, one for each of their scales."""
    assert scale.const_value is not None
    count = scale.const_value.size
    return constant(graph, f"{grid.name}_zeros_{count}", np.repeat(grid.zero, count))


def dequantized(
    graph: Graph,
    before: onnx_ir.Node,
    name: str,
    numbers: onnx_ir.Value,
    scale: onnx_ir.Value,
    grid: Grid,
    *,
    axis: int,
) -> onnx_ir.Value:
    """Symmetric `numbers` of `grid` as floats, with a scale for each index of `axis`, by a node ahead of `before`."""
    return insert(
        graph,
        before,
        "DequantizeLinear",
        [numbers, scale, zeros(graph, scale, grid)],
        name=f"{name}/DequantizeLinear",
        dtype=onnx_ir.DataType.FLOAT,
        shape=numbers.shape,
        attributes={"axis": axis},
    )


def add_bias(graph: Graph, linear: Linear, product: onnx_ir.Value) -> None:
    """Let `product` and then the bias of the Gemm `linear` take the Gemm's place."""
    node, bias = linear.node, linear.bias
    if bias is not None:
        product = insert(
            graph,
            node,
            "Add",
            [product, bias],
            name=f"{linear.module}/Add",
            dtype=onnx_ir.DataType.FLOAT,
            shape=node.outputs[0].shape,
        )
    replace(graph, node, product)
