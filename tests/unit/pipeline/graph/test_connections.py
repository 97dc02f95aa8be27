"""What a node reads must be given before it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from onnx import NodeProto, TensorProto, helper

from pipeline.errors import UsageError
from pipeline.graph import file


def node(name: str, read: str, given: str) -> NodeProto:
    return helper.make_node("Identity", [read], [given], name=name)


def branches(read: str) -> NodeProto:
    """An If, in both of whose branches a node reads `read`."""
    output = helper.make_empty_tensor_value_info("inside")
    branch = helper.make_graph([node("in a branch", read, "inside")], "branch", [], [output])
    return helper.make_node("If", ["x"], ["y"], name="if", then_branch=branch, else_branch=branch)


def write(folder: Path, nodes: Sequence[NodeProto]) -> Path:
    """A model from x to y that is a weight w besides."""
    value, output = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in "xy")
    weight = helper.make_tensor("w", TensorProto.BOOL, [], [True])
    graph = helper.make_graph(nodes, "g", [value], [output], initializer=[weight])
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [node("a", "nowhere", "y")],
            r"the node 'a' \(Identity\) reads 'nowhere', which nothing before it gives",
        ),
        (
            [branches("nowhere")],
            r"the node 'in a branch' \(Identity\) reads 'nowhere', which nothing before it gives",
        ),
        ([node("a", "x", "z")], "nothing gives its output 'y'"),
        ([], "nothing gives its output 'y'"),
        ([node("a", "y", "y")], r"the node 'a' \(Identity\) reads 'y', which nothing before it gives"),
        (
            [node("a", "b", "y"), node("b", "y", "b")],
            r"the node 'a' \(Identity\) reads 'b', which nothing before",
        ),
        (
            [node("a", "b", "y"), node("b", "x", "b")],
            r"the node 'a' \(Identity\) reads 'b', which nothing before",
        ),
    ],
)
def test_a_graph_that_contradicts_itself(nodes: Sequence[NodeProto], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"model\.onnx is not usable: {message}"):
        file.load(write(tmp_path, nodes))


@pytest.mark.parametrize("read", ["x", "w"])
def test_inputs_and_weights_are_given_in_branches_too(read: str, tmp_path: Path) -> None:
    assert [loaded.op_type for loaded in file.load(write(tmp_path, [branches(read)])).graph] == ["If"]
