"""ONNX models with functions, some of which no engine can expand."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import FunctionProto, TensorProto, helper

NAME = "model.onnx"
OWN = "own"
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid(OWN, 1)]


def call(name: str, first: str, last: str) -> onnx.NodeProto:
    return helper.make_node(name, [first], [last], domain="" if name == "Relu" else OWN)


def function(name: str, called: Sequence[str], *, nested: bool = False) -> FunctionProto:
    """A function that calls those of `called` one after the other, or the first of them in the branches of an If."""
    nodes = [call(one, f"v{place}", f"v{place + 1}") for place, one in enumerate(called)]
    last = f"v{len(called)}"
    if nested:
        output = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1])
        branch = helper.make_graph(nodes, "branch", [], [output])
        last = "chosen"
        nodes = [helper.make_node("If", ["v0"], [last], then_branch=branch, else_branch=branch)]
    return helper.make_function(OWN, name, ["v0"], [last], nodes, OPSETS)


def chain(levels: int, calls: int, *, nested: bool = False) -> list[FunctionProto]:
    """Functions, each of which calls the next one `calls` times."""
    callers = [function(f"f{level}", [f"f{level + 1}"] * calls, nested=nested) for level in range(levels - 1)]
    return [*callers, function(f"f{levels - 1}", ["Relu"])]


def write(folder: Path, own: Sequence[FunctionProto]) -> Path:
    value, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([call("f0", "x", "y")], "g", [value], [output])
    path = folder / NAME
    onnx.save(helper.make_model(graph, functions=own, opset_imports=OPSETS, ir_version=10), path)
    return path


def large(name: str, size: int) -> FunctionProto:
    """A function with a constant of `size` bytes."""
    tensor = helper.make_tensor("t", TensorProto.UINT8, [size], bytes(size), raw=True)
    nodes = [helper.make_node("Constant", [], ["c"], value=tensor), helper.make_node("Relu", ["v0"], ["v1"])]
    return helper.make_function(OWN, name, ["v0"], ["v1"], nodes, OPSETS)


def with_a_graph(*, default: bool) -> FunctionProto:
    """A function that is called with a graph, or has one as its default, and uses it in both branches of an If."""
    node = helper.make_node("If", ["v0"], ["v1"])
    for branch in ("then_branch", "else_branch"):
        node.attribute.append(
            onnx.AttributeProto(name=branch, type=onnx.AttributeProto.GRAPH, ref_attr_name="own_graph")
        )
    body = helper.make_graph([], "g", [], [])
    if default:
        given = {"attribute_protos": [helper.make_attribute("own_graph", body)]}
        node = helper.make_node("Relu", ["v0"], ["v1"])
    else:
        given = {"attributes": ["own_graph"]}
    return helper.make_function(OWN, "f0", ["v0"], ["v1"], [node], OPSETS, **given)


def called_with(size: int) -> list[FunctionProto]:
    """Two functions, the first of which calls the second with an attribute of `size` bytes."""
    first = function("f0", ["f1"])
    first.node[0].attribute.append(helper.make_attribute("text", b"x" * size))
    return [first, function("f1", ["Relu"])]


MANY = r"its functions stand for more than 100,000 nodes, the limit"
DEEP = r"its functions call one another more than 32 deep, the limit, or one calls itself"
HOSTILE = pytest.mark.parametrize(
    ("own", "message"),
    [
        (chain(32, 2), MANY),
        (chain(20, 2, nested=True), MANY),
        (chain(33, 1), DEEP),
        (chain(10_001, 1)[::-1], DEEP),
        ([function("f0", ["f0"])], DEEP),
        ([function("f0", ["f1"]), function("f1", ["f0"])], DEEP),
        ([function("f0", ["Relu"]), function("f0", ["f0"])], DEEP),
        (
            [*chain(14, 2)[:-1], large("f13", 1 << 16)],
            r"its functions stand for more than 256 MiB, the limit",
        ),
        ([with_a_graph(default=False)], r"a function of it is called with a graph"),
        ([with_a_graph(default=True)], r"an attribute of a function has a graph as its default"),
        (called_with(5000), r"a call of a function has 5,\d\d\d bytes; at most 4,096"),
    ],
    ids=[
        "doubled",
        "doubled in branches",
        "deep",
        "very deep",
        "itself",
        "each other",
        "defined twice",
        "many bytes",
        "a graph",
        "a default graph",
        "a large call",
    ],
)
