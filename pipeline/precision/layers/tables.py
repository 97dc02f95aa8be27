"""Embedding tables, stored as 8-bit numbers; only the rows that a batch reads become floats."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.builder import constant, drop_if_unused, insert, replace
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator
from pipeline.precision.ranges.grids import INTEGERS, Grid
from pipeline.precision.weights import weights
from pipeline.precision.weights.stored import dequantized

_WEIGHT = ".weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One embedding: the Gather that reads rows of the initializer `stored`; `tied` where a linear layer does too."""

    module: str
    node: onnx_ir.Node
    stored: onnx_ir.Value
    tied: bool

    @property
    def array(self) -> npt.NDArray[np.float32]:
        found = array_of(self.stored)
        assert found is not None
        return found.astype(np.float32, copy=False)


def find(graph: Graph) -> tuple[Table, ...]:
    """Every embedding table in floating point, in the graph's order."""
    return tuple(found for node in graph.graph if (found := _table(node)) is not None)


def quantize(graph: Graph, table: Table, *, grid: Grid, half: bool = False) -> None:
    """Let `table` be stored in whole numbers of 8 bits, a tied one in those of `grid`.

    It has a scale a row or a column, whichever loses less.

    A tied table has a scale a row, since its rows are the output channels of the linear layer that shares it. With
    `half`, scales are such as fp16 holds, and the whole table is dequantized ahead of the Gather: TensorRT takes 8-bit
    constants nowhere else, and its kernel dequantizes the rows that it reads.
    """
    array = table.array
    # Nothing is summed up, so an embedding of its own can have all 8 bits on every CPU, and needs no product's type.
    grid = grid if table.tied else INTEGERS[8]
    axis = 0
    if not table.tied and weights.error(array, axis=1, grid=grid) < weights.error(array, axis=0, grid=grid):
        axis = 1
    numbers, scales = weights.quantize(table.module, array, axis=axis, grid=grid, half=half)
    stored = constant(graph, f"{table.stored.name}_quantized", numbers)
    node, shape = table.node, table.node.outputs[0].shape
    if half:
        scale = constant(graph, f"{table.stored.name}_scale", scales)
        node.replace_input_with(0, dequantized(graph, node, table.module, stored, scale, grid, axis=axis))
        drop_if_unused(graph, table.stored)
        return
    rows = insert(
        graph,
        node,
        "Gather",
        [stored, node.inputs[1]],
        name=f"{table.module}/Gather",
        dtype=onnx_ir.DataType.INT8,
        shape=shape,
        attributes={"axis": 0},
    )
    if axis == 1:
        values = insert(
            graph,
            node,
            "DequantizeLinear",
            [rows, constant(graph, f"{table.stored.name}_scale", scales)],
            name=f"{table.module}/DequantizeLinear",
            dtype=onnx_ir.DataType.FLOAT,
            shape=shape,
            attributes={"axis": -1},
        )
    else:
        column = constant(graph, f"{table.stored.name}_row_scale", scales[:, None])
        values = _scaled_rows(graph, table, rows, column)
    replace(graph, node, values)
    drop_if_unused(graph, table.stored)


def _scaled_rows(graph: Graph, table: Table, rows: onnx_ir.Value, column: onnx_ir.Value) -> onnx_ir.Value:
    """Rows times each one's own scale. DequantizeLinear takes scales along one axis; a batch's rows lie on two."""
    ids, shape = table.node.inputs[1], table.node.outputs[0].shape
    assert ids is not None
    float32 = onnx_ir.DataType.FLOAT

    def add(
        op_type: str, inputs: list[onnx_ir.Value], shape: onnx_ir.Shape | None, **attributes: int
    ) -> onnx_ir.Value:
        return insert(
            graph,
            table.node,
            op_type,
            inputs,
            name=f"{table.module}/{op_type}",
            dtype=float32,
            shape=shape,
            attributes=attributes,
        )

    scales_shape = None if shape is None else onnx_ir.Shape([*list(shape)[:-1], 1])
    scales = add("Gather", [column, ids], scales_shape, axis=0)
    return add("Mul", [add("Cast", [rows], shape, to=int(float32)), scales], shape)


def _table(node: onnx_ir.Node) -> Table | None:
    stored = node.inputs[0] if is_operator(node, "Gather") else None
    if stored is None or not stored.is_initializer() or stored.const_value is None:
        return None
    if len(stored.const_value.shape) != 2 or stored.dtype != onnx_ir.DataType.FLOAT:
        return None
    if node.attributes.get_int("axis", 0) != 0:
        return None
    assert stored.name is not None
    tied = any(not is_operator(use.node, "Gather") for use in stored.uses())
    return Table(module=stored.name.removesuffix(_WEIGHT), node=node, stored=stored, tied=tied)
