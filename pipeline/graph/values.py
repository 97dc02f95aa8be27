"""Questions about the values of a graph and the nodes that compute and read them."""

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.names import module_of

# The module of a value that no node computes
_NO_MODULE = "graph"


def is_operator(node: onnx_ir.Node, *op_types: str, domain: str = "") -> bool:
    """Whether `node` is one of the operators `op_types` of `domain`."""
    return node.domain == domain and node.op_type in op_types


def array_of(value: onnx_ir.Value | None) -> npt.NDArray[np.generic] | None:
    """The content of a constant; None where `value` is not a constant, or missing."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def shape_of(value: onnx_ir.Value) -> onnx_ir.Shape:
    """The shape of `value`, for callers that know that it has one, as every value of an export does."""
    assert value.shape is not None, value.name
    return value.shape


def dtype_of(value: onnx_ir.Value) -> onnx_ir.DataType:
    """The type of the elements of `value`, for callers that know that it has one."""
    assert value.dtype is not None, value.name
    return value.dtype


def node_of(value: onnx_ir.Value) -> onnx_ir.Node:
    """The node that computes `value`, for callers that know that there is one."""
    node = value.producer()
    assert node is not None, value.name
    return node


def module_of_value(value: onnx_ir.Value) -> str:
    """The module whose node computes `value`; "graph" for constants and inputs of the graph."""
    node = value.producer()
    return _NO_MODULE if node is None else module_of(str(node.name))


def producer(node: onnx_ir.Node, index: int) -> onnx_ir.Node | None:
    """The node that computes input `index` of `node`; None for a constant, a graph's input and a missing input."""
    value = node.inputs[index] if index < len(node.inputs) else None
    return None if value is None else value.producer()


def other_input(node: onnx_ir.Node, value: onnx_ir.Value) -> onnx_ir.Value | None:
    """The input of `node`, which has two, that is not `value`."""
    first, second = node.inputs
    return second if first is value else first


def sole_reader(value: onnx_ir.Value) -> onnx_ir.Node | None:
    """The node that reads `value`, if it is the only one, reads it once, and the graph does not give `value` out."""
    uses = tuple(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None
