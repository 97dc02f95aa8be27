"""Embedding tables stored as 8-bit numbers; only the rows that a batch reads become floats."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.builder import Insertion, constant, drop_if_unused, replace
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator
from pipeline.precision.numbers.grids import INTEGERS, Grid
from pipeline.precision.weights import initializers, rounding

_WEIGHT = ".weight"
_FLOAT = onnx_ir.DataType.FLOAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One embedding of a graph."""

    module: str
    """Hugging Face's name of the embedding."""
    node: onnx_ir.Node
    """The Gather that reads rows of the table."""
    initializer: onnx_ir.Value
    """The initializer that holds the table, (rows, columns)."""
    tied: bool
    """Whether a linear layer reads `initializer` too."""

    @property
    def array(self) -> npt.NDArray[np.float32]:
        """The table, (rows, columns)."""
        array = array_of(self.initializer)
        assert array is not None
        return array.astype(np.float32, copy=False)


def find(graph: Graph) -> tuple[Table, ...]:
    """Every embedding table in floating point, in the graph's order."""
    return tuple(table for node in graph.graph if (table := _table(node)) is not None)


def quantize(graph: Graph, table: Table, *, grid: Grid, half_scales: bool = False) -> None:
    """Store `table` in 8-bit integers, or in numbers of `grid` where it is tied.

    A tied table has a scale for each row: its rows are the output channels of the linear layer that shares it. Another
    table has a scale for each row or for each column, whichever gives the smaller error.

    With `half_scales`, fp16 holds every scale exactly, and the whole table is dequantized before the Gather: TensorRT
    reads 8-bit constants nowhere else, and its kernel dequantizes only the rows that it reads.
    """
    # Rows of an untied table enter no sum of products, which could saturate, so 8 bits are safe on every CPU.
    grid = grid if table.tied else INTEGERS[8]
    axis = 0 if table.tied else _better_axis(table.array, grid)
    numbers, scales = rounding.quantize(
        table.module, table.array, axis=axis, grid=grid, half_scales=half_scales
    )
    quantized = constant(graph, f"{table.initializer.name}_quantized", numbers)
    if half_scales:
        scale = constant(graph, f"{table.initializer.name}_scale", scales)
        floats = initializers.dequantize(graph, table.node, table.module, quantized, scale, grid, axis=axis)
        table.node.replace_input_with(0, floats)
    else:
        _dequantize_rows(graph, table, quantized, scales, axis=axis)
    drop_if_unused(graph, table.initializer)


def _better_axis(array: npt.NDArray[np.float32], grid: Grid) -> int:
    """The axis along which scales give the smaller error; 0 where both give the same."""
    errors = [rounding.mean_squared_error(array, axis=axis, grid=grid) for axis in (0, 1)]
    return int(np.argmin(errors))


def _dequantize_rows(
    graph: Graph, table: Table, quantized: onnx_ir.Value, scales: npt.NDArray[np.float32], *, axis: int
) -> None:
    """Let Gather read 8-bit rows of `quantized`, and make floats of them after it."""
    node = table.node
    ids, shape = node.inputs[1], node.outputs[0].shape
    assert ids is not None

    insertion = Insertion.before(graph, node, module=table.module)
    rows = insertion.add(
        "Gather", [quantized, ids], shape=shape, dtype=onnx_ir.DataType.INT8, attributes={"axis": 0}
    )
    if axis == 1:
        scale = constant(graph, f"{table.initializer.name}_scale", scales)
        floats = insertion.add("DequantizeLinear", [rows, scale], shape=shape, attributes={"axis": -1})
    else:
        # DequantizeLinear takes scales along one axis, and the rows of a batch lie on two.
        column = constant(graph, f"{table.initializer.name}_row_scale", scales[:, None])
        scales_shape = None if shape is None else onnx_ir.Shape([*list(shape)[:-1], 1])
        row_scales = insertion.add("Gather", [column, ids], shape=scales_shape, attributes={"axis": 0})
        numbers = insertion.add("Cast", [rows], shape=shape, attributes={"to": int(_FLOAT)})
        floats = insertion.add("Mul", [numbers, row_scales], shape=shape)
    replace(graph, node, floats)


def _table(node: onnx_ir.Node) -> Table | None:
    initializer = node.inputs[0] if is_operator(node, "Gather") else None
    if initializer is None or not initializer.is_initializer() or initializer.const_value is None:
        return None
    if len(initializer.const_value.shape) != 2 or initializer.dtype != _FLOAT:
        return None
    if node.attributes.get_int("axis", 0) != 0:
        return None
    assert initializer.name is not None
    tied = any(not is_operator(use.node, "Gather") for use in initializer.uses())
    return Table(module=initializer.name.removesuffix(_WEIGHT), node=node, initializer=initializer, tied=tied)
