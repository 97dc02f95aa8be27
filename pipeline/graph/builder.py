"""Adding constants and nodes to a graph, typed and named like those of the export."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.file import Graph

Attributes = Mapping[str, int | float | str | Sequence[int]]


def constant(graph: Graph, name: str, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """`array` as an initializer; the one that is there already where another node needed the same."""
    found = graph.graph.initializers.get(name)
    if found is not None:
        return found
    return initializer(graph, name, array)


def initializer(graph: Graph, name: str, array: npt.NDArray[np.generic]) -> onnx_ir.Value:
    """A new initializer of the graph."""
    tensor = onnx_ir.tensor(np.asarray(array, order="C"), name=name)
    value = onnx_ir.Value(
        name=name,
        shape=onnx_ir.Shape(array.shape),
        type=onnx_ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.graph.register_initializer(value)
    return value


def insert(
    graph: Graph,
    before: onnx_ir.Node,
    op_type: str,
    inputs: Sequence[onnx_ir.Value | None],
    *,
    name: str,
    dtype: onnx_ir.DataType,
    shape: onnx_ir.Shape | None,
    attributes: Attributes | None = None,
    domain: str = "",
) -> onnx_ir.Value:
    """The output of a new node ahead of `before`; a number is added to `name` where it is taken."""
    unique = _unique(graph, name)
    node = onnx_ir.node(op_type, inputs, dict(attributes or {}), domain=domain, name=unique)
    output = node.outputs[0]
    output.name = f"{unique}_output_0"
    output.dtype = dtype
    output.shape = shape
    graph.graph.insert_before(before, node)
    return output


def replace(graph: Graph, node: onnx_ir.Node, value: onnx_ir.Value) -> None:
    """Let everything that reads the only output of `node` read `value`, also the graph's outputs, and remove it."""
    replaced = node.outputs[0]
    if replaced.is_graph_output():
        value.name, value.shape, value.type = replaced.name, replaced.shape, replaced.type
    replaced.replace_all_uses_with(value, replace_graph_outputs=True)
    graph.graph.remove(node, safe=True)


def drop_if_unused(graph: Graph, value: onnx_ir.Value) -> None:
    """Remove an initializer, or the node that makes `value` and what only it read, where nothing reads it any more."""
    if value.uses() or value.is_graph_output() or value.is_graph_input():
        return
    producer = value.producer()
    if producer is None:
        if value.name is not None:
            graph.graph.initializers.pop(value.name, None)
        return
    if any(output.uses() or output.is_graph_output() for output in producer.outputs):
        return
    inputs = [each for each in producer.inputs if each is not None]
    graph.graph.remove(producer, safe=True)
    for each in dict.fromkeys(inputs):
        drop_if_unused(graph, each)


def sole_reader(value: onnx_ir.Value) -> onnx_ir.Node | None:
    """The one node that reads `value`, once; None where there are more, or none, or where it is a graph's output."""
    uses = tuple(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def producer(node: onnx_ir.Node, index: int) -> onnx_ir.Node | None:
    """The node that makes input `index` of `node`; None for a constant, a graph's input and an input left out."""
    value = node.inputs[index] if index < len(node.inputs) else None
    return None if value is None else value.producer()


def other_input(node: onnx_ir.Node, value: onnx_ir.Value) -> onnx_ir.Value | None:
    """What `node`, of two inputs, reads beside `value`."""
    first, second = node.inputs
    return second if first is value else first


def is_operator(node: onnx_ir.Node, *op_types: str, domain: str = "") -> bool:
    """Whether `node` is one of the operators `op_types` of `domain`."""
    return node.domain == domain and node.op_type in op_types


def array_of(value: onnx_ir.Value | None) -> npt.NDArray[np.generic] | None:
    """What a constant value holds; None where it is no constant."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def _unique(graph: Graph, name: str) -> str:
    taken = {node.name for node in graph.graph}
    number, unique = 0, name
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
