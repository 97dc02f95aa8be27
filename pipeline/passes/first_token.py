"""Computing, of the last layer, the first token only, where the head reads no other."""

from collections.abc import Mapping

import numpy as np
import onnx_ir

from pipeline.graph.builder import array_of
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import constant, describe, tidy

# Operators that treat each position of any axis by itself, and broadcast
_BY_ELEMENT = frozenset(("Add", "Sub", "Mul", "Div", "Gelu", "Relu", "Tanh", "Erf", "Sigmoid"))
_ALONG_LAST = frozenset(("LayerNormalization", "Softmax"))

Axes = Mapping[onnx_ir.Value, int]
"""For a value of which one position is read: the axis of the tokens."""


class _RefusedError(Exception):
    """Why a node needs all tokens to give one."""


@fusion("first_token", per_graph=1)
def first_token(graph: Graph) -> Applied:
    """The head's choice of the first token goes ahead of the last layer, of which keys and values alone need all.

    Exact: every operator moved past treats each token by itself. Counts the heads' gathers that went ahead of all that
    a layer does with queries: its softmax and its layer norms.
    """
    rewrites = 0
    refusals: list[str] = []
    for node in list(graph.graph):
        value = node.inputs[0] if node.op_type == "Gather" else None
        if value is None or node.attributes.get_int("axis", 0) != 1 or value.is_graph_input():
            continue
        index = array_of(node.inputs[1])
        if index is None or index.shape != () or index != 0:
            continue
        if value.shape is not None and len(value.shape) > 1 and value.shape[1] == 1:
            # One token is all there is, so there is nothing to choose
            continue
        if len(value.uses()) > 1 or value.is_graph_output():
            refusals.append(f"{node.name}: others read all tokens of {value.name} too")
            continue
        axes, refused = _narrowed(graph, value)
        passed = {_producer(each).op_type for each in axes}
        if not passed >= _ALONG_LAST:
            refusals += refused or [f"{node.name}: nothing ahead of it treats each token by itself"]
            continue
        _Narrowing(graph, axes).apply()
        rewrites += 1
    if rewrites:
        tidy(graph)
    return Applied(rewrites=rewrites, refusals=tuple(refusals))


def _narrowed(graph: Graph, value: onnx_ir.Value) -> tuple[dict[onnx_ir.Value, int], list[str]]:
    """Which computed values need one position only, so that `value` has its first, and why it ended where it did."""
    axes: dict[onnx_ir.Value, int] = {}
    # Positions asked of each value, by whoever reads it
    asked: dict[onnx_ir.Value, dict[tuple[onnx_ir.Node, int], int]] = {
        value: {(use.node, use.idx): 1 for use in value.uses()}
    }
    refused = []
    for node in reversed(list(graph.graph)):
        output = node.outputs[0]
        wanted = asked.get(output, {})
        if not wanted or output.is_graph_output() or len(wanted) < len(output.uses()):
            continue
        (axis,) = set(wanted.values()) if len(set(wanted.values())) == 1 else (None,)
        if axis is None:
            continue
        try:
            inputs = _asks(node, axis)
        except _RefusedError as why:
            refused.append(f"{node.name}: {why}")
            continue
        axes[output] = axis
        for index, of in inputs.items():
            read = node.inputs[index]
            assert read is not None
            asked.setdefault(read, {})[(node, index)] = of
    return axes, refused


def _asks(node: onnx_ir.Node, axis: int) -> dict[int, int]:
    """Of which inputs one position is enough for one position of the output's `axis`, and along which axis of each."""
    first = node.inputs[0]
    rank = _rank(node.outputs[0])
    if first is None or len(node.outputs) > 1 or node.domain:
        raise _RefusedError(f"{node.op_type} is not known to treat each token by itself")
    inputs = _asked_of(node, first, axis, rank)
    for index in inputs:
        read = node.inputs[index]
        if read is None or read.producer() is None:
            raise _RefusedError(f"its input {index} is not computed, and has no first token to take")
    return inputs


def _asked_of(node: onnx_ir.Node, first: onnx_ir.Value, axis: int, rank: int) -> dict[int, int]:
    output = node.outputs[0]
    if node.op_type in _BY_ELEMENT:
        found = {}
        for index, value in enumerate(node.inputs):
            assert value is not None
            # Broadcasting aligns axes at the end
            own = axis - (rank - _rank(value))
            if own >= 0 and _size(value, own) != 1:
                found[index] = own
        return found
    if (
        node.op_type in _ALONG_LAST
        and node.attributes.get_int("axis", -1) in (-1, rank - 1)
        and axis < rank - 1
    ):
        return {0: axis}
    if node.op_type == "MatMul" and axis == rank - 2 and all(_rank(each) > 1 for each in node.inputs if each):
        return {0: _rank(first) - 2}
    if node.op_type == "Transpose" and "perm" in node.attributes:
        return {0: tuple(node.attributes["perm"].as_ints())[axis]}
    if node.op_type == "Reshape" and axis == 1 and _rank(first) > 1:
        # (batch, tokens, ...) to (batch, tokens, ...): the sizes after the tokens are known, those before are kept
        assert first.shape is not None
        assert output.shape is not None
        known = all(isinstance(size, int) for size in output.shape[2:])
        if known and tuple(first.shape[:2]) == tuple(output.shape[:2]):
            return {0: 1}
    raise _RefusedError(f"{node.op_type} needs all tokens along axis {axis}")


class _Narrowing:
    """Gives the values in `axes` size 1 along the tokens, and takes the first token where they read wider ones."""

    def __init__(self, graph: Graph, axes: Axes) -> None:
        self._graph = graph
        self._axes = axes
        self._taken: dict[tuple[onnx_ir.Value, int], onnx_ir.Value] = {}

    def apply(self) -> None:
        for output, axis in self._axes.items():
            node = _producer(output)
            for index, own in _asks(node, axis).items():
                read = node.inputs[index]
                assert read is not None
                if read not in self._axes:
                    node.replace_input_with(index, self._first(read, own))
        for output, axis in self._axes.items():
            node = _producer(output)
            assert output.shape is not None
            sizes = list(output.shape)
            sizes[axis] = 1
            if node.op_type == "Reshape":
                self._resize(node, sizes)
            output.shape = onnx_ir.Shape(sizes)

    def _resize(self, node: onnx_ir.Node, sizes: list[int | onnx_ir.SymbolicDim]) -> None:
        """Reshape to batch, one token, and sizes that are all known; 0 keeps the batch's."""
        known = [size for size in sizes[1:] if isinstance(size, int)]
        assert len(known) == len(sizes) - 1
        node.replace_input_with(1, constant(self._graph, np.array([0, *known], dtype=np.int64)))
        node.attributes.pop("allowzero", None)

    def _first(self, value: onnx_ir.Value, axis: int) -> onnx_ir.Value:
        """The first token of `value`, its axis kept."""
        if (value, axis) not in self._taken:
            module = str(_producer(value).name).rpartition("/")[0]
            node = onnx_ir.node(
                "Gather",
                [value, constant(self._graph, np.zeros(1, dtype=np.int64))],
                {"axis": axis},
                name=f"{module}/Gather_first_token",
            )
            assert value.shape is not None
            sizes = list(value.shape)
            sizes[axis] = 1
            self._taken[value, axis] = describe(node.outputs[0], sizes, value.dtype)
            self._graph.graph.insert_after(_producer(value), node)
        return self._taken[value, axis]


def _producer(value: onnx_ir.Value) -> onnx_ir.Node:
    producer = value.producer()
    if producer is None:
        raise _RefusedError(f"{value.name} is not computed")
    return producer


def _rank(value: onnx_ir.Value) -> int:
    if value.shape is None:
        raise _RefusedError(f"{value.name} has no known shape")
    return len(value.shape)


def _size(value: onnx_ir.Value, axis: int) -> int | onnx_ir.SymbolicDim:
    assert value.shape is not None
    return value.shape[axis]
