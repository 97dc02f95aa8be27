"""Adding nodes at one place of a graph, with names, types and shapes, and replacing and removing parts of it."""

import numpy as np
import onnx_ir
import pytest

from pipeline.graph import builder
from pipeline.graph.builder import Insertion, Output
from pipeline.graph.file import Graph, check
from pipeline.graph.values import array_of, node_of, shape_of
from tests.graphs import answer, node, operators

FLOAT, INT64 = onnx_ir.DataType.FLOAT, onnx_ir.DataType.INT64


@pytest.fixture
def graph() -> Graph:
    """y = relu(-x), for x of shape (n, 3); the modules are `first` and `second`."""
    x = onnx_ir.val("x", FLOAT, ["n", 3])
    negated = onnx_ir.node("Neg", [x], name="first/Neg")
    kept = onnx_ir.node("Relu", [builder.describe(negated.outputs[0], x.shape, FLOAT)], name="second/Relu")
    y = builder.describe(kept.outputs[0], x.shape, FLOAT)
    y.name = "y"
    inner = onnx_ir.Graph([x], [y], nodes=[negated, kept], opset_imports={"": 20}, name="test")
    return onnx_ir.Model(inner, ir_version=10)


def names(graph: Graph) -> list[str | None]:
    return [item.name for item in graph.graph]


def test_nodes_ahead_of_another_belong_to_its_module_and_keep_their_order(graph: Graph) -> None:
    relu = node(graph, "second/Relu")
    insertion = Insertion.before(graph, relu)
    shape = shape_of(relu.inputs[0])
    halved = insertion.add("Mul", [relu.inputs[0], insertion.constant(np.float32([0.5]))], shape=shape)
    raised = insertion.add("Add", [halved, insertion.constant(np.float32([1]))], shape=shape, label="one")
    relu.replace_input_with(0, raised)
    assert names(graph) == ["first/Neg", "second/Mul", "second/Add_one", "second/Relu"]
    assert (raised.name, raised.dtype, raised.shape) == ("second/Add_one_output_0", FLOAT, shape)
    check(graph)
    assert answer(graph, {"x": np.float32([[-4, 0, 4]])})[0].tolist() == [[3, 1, 0]]


def test_nodes_after_a_value_follow_one_another(graph: Graph) -> None:
    value = node(graph, "first/Neg").outputs[0]
    insertion = Insertion.after(graph, value, dtype=INT64)
    sizes = insertion.add("Shape", [value], shape=[2])
    insertion.add("Gather", [sizes, insertion.sizes(0)], attributes={"axis": 0}, shape=[1])
    assert names(graph) == ["first/Neg", "first/Shape", "first/Gather", "second/Relu"]
    assert sizes.dtype == INT64


def test_nodes_after_an_input_of_the_graph_come_first(graph: Graph) -> None:
    (x,) = graph.graph.inputs
    insertion = Insertion.after(graph, x)
    insertion.add("Abs", [x], shape=x.shape)
    insertion.in_module("elsewhere").add("Exp", [x], shape=x.shape)
    assert names(graph) == ["graph/Abs", "elsewhere/Exp", "first/Neg", "second/Relu"]


def test_a_name_that_is_taken_gets_a_number(graph: Graph) -> None:
    insertion = Insertion.before(graph, node(graph, "second/Relu"), module="first")
    added = [insertion.add("Neg", [graph.graph.inputs[0]], shape=["n", 3]) for _ in range(2)]
    assert [value.name for value in added] == ["first/Neg_1_output_0", "first/Neg_2_output_0"]


def test_every_output_of_a_node_is_described(graph: Graph) -> None:
    relu = node(graph, "second/Relu")
    outputs = [Output(dtype=FLOAT, shape=["n", 1]), Output(dtype=FLOAT, shape=["n", 2])]
    insertion = Insertion.before(graph, relu)
    parts = insertion.add_all(
        "Split", [relu.inputs[0], insertion.sizes(1, 2)], outputs, attributes={"axis": 1}
    )
    assert [value.name for value in parts] == ["second/Split_output_0", "second/Split_output_1"]
    assert [tuple(shape_of(value)) for value in parts] == [("n", 1), ("n", 2)]
    check(graph)


def test_equal_constants_are_shared_and_others_are_not(graph: Graph) -> None:
    first = builder.shared_constant(graph, np.array([1, 2]))
    assert builder.shared_constant(graph, np.array([1, 2])) is first
    others = [np.array([1.0, 2.0]), np.array([[1, 2]]), np.array([1, 3])]
    values = [builder.shared_constant(graph, array) for array in others]
    assert [value.name for value in values] == ["constant_1", "constant_2", "constant_3"]


def test_a_named_constant_is_added_once(graph: Graph) -> None:
    first = builder.constant(graph, "scale", np.float32([2]))
    assert builder.constant(graph, "scale", np.float32([3])) is first
    assert array_of(first).tolist() == [2]


def test_a_node_that_gives_an_output_of_the_graph_can_be_replaced(graph: Graph) -> None:
    relu = node(graph, "second/Relu")
    value = Insertion.before(graph, relu).add("Abs", [relu.inputs[0]], shape=shape_of(relu.inputs[0]))
    builder.replace(graph, relu, value)
    assert [output.name for output in graph.graph.outputs] == ["y"]
    assert node_of(graph.graph.outputs[0]).op_type == "Abs"
    check(graph)


def test_an_initializer_is_replaced_for_all_its_readers_under_its_name(graph: Graph) -> None:
    relu = node(graph, "second/Relu")
    weight = builder.initializer(graph, "weight", np.eye(3, dtype=np.float32))
    insertion = Insertion.before(graph, relu)
    relu.replace_input_with(0, insertion.add("MatMul", [relu.inputs[0], weight], shape=["n", 3]))
    builder.replace_initializer(graph, weight, 2 * np.eye(3, dtype=np.float32))
    assert list(graph.graph.initializers) == ["weight"]
    assert answer(graph, {"x": np.float32([[-1, -2, -3]])})[0].tolist() == [[2, 4, 6]]


def test_what_only_an_unused_value_reads_is_removed_with_it(graph: Graph) -> None:
    relu = node(graph, "second/Relu")
    insertion = Insertion.before(graph, relu)
    product = insertion.add("Mul", [relu.inputs[0], insertion.constant(np.float32([2]))], shape=["n", 3])
    builder.drop_if_unused(graph, insertion.add("Exp", [product], shape=["n", 3]))
    assert names(graph) == ["first/Neg", "second/Relu"]
    assert not graph.graph.initializers
    builder.drop_if_unused(graph, relu.inputs[0])
    assert operators(graph)["Neg"] == 1
