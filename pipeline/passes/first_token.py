"""Computing only the first token in the last layer, where the head does not read the others."""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir

from pipeline.graph.builder import Insertion, shared_constant
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, dtype_of, node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.elementwise import BROADCASTING, UNARY
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.refusal import RefusalError, rewrite_each

# Operators that compute each position of any axis from that position alone
_BY_ELEMENT = UNARY | BROADCASTING
_ALONG_LAST = frozenset(("LayerNormalization", "Softmax"))

TokenAxes = Mapping[onnx_ir.Value, int]
"""The axis of the tokens, for each value that is needed at its first token only."""


@graph_pass("first_token", per_graph=1)
def first_token(graph: Graph) -> PassResult:
    """The head's Gather of the first token moves ahead of the last layer, where only keys and values need all tokens.

    Exact: every operator that it moves past computes each token from that token alone. Counts the Gathers that moved
    past everything that a layer computes from queries: its softmax and its layer norms.
    """

    def rewrite(gather: onnx_ir.Node) -> None:
        value = gather.inputs[0]
        assert value is not None
        if len(value.uses()) > 1 or value.is_graph_output():
            raise RefusalError(f"others read all tokens of {value.name} too")
        axes, obstacles = _token_axes(graph, value)
        if not {node_of(narrowed).op_type for narrowed in axes} >= _ALONG_LAST:
            raise RefusalError("; ".join(obstacles) or "nothing ahead of it computes each token separately")
        _narrow(graph, axes)

    result = rewrite_each(_gathers(graph), rewrite)
    if result.rewrites:
        tidy(graph)
    return result


def _gathers(graph: Graph) -> Iterator[onnx_ir.Node]:
    """Nodes that choose the first of several computed tokens."""
    for node in list(graph.graph):
        value = node.inputs[0] if node.op_type == "Gather" else None
        if value is None or node.attributes.get_int("axis", 0) != 1 or value.is_graph_input():
            continue
        index = array_of(node.inputs[1])
        if index is None or index.shape != () or index != 0:
            continue
        has_one_token = value.shape is not None and len(value.shape) > 1 and value.shape[1] == 1
        if not has_one_token:
            yield node


def _token_axes(graph: Graph, value: onnx_ir.Value) -> tuple[dict[onnx_ir.Value, int], list[str]]:
    """The computed values that are needed at one position, if `value` is, and the reasons why there are no more."""
    axes: dict[onnx_ir.Value, int] = {}
    # For each value, the axis along which a reader needs one position, by the reader's node and input
    needed: dict[onnx_ir.Value, dict[tuple[onnx_ir.Node, int], int]] = {
        value: {(use.node, use.idx): 1 for use in value.uses()}
    }
    obstacles = []
    for node in reversed(list(graph.graph)):
        output = node.outputs[0]
        readers = needed.get(output, {})
        if not readers or output.is_graph_output() or len(readers) < len(output.uses()):
            continue
        if len(set(readers.values())) > 1:
            continue
        axis = next(iter(readers.values()))
        try:
            inputs = _narrowed_inputs(node, axis)
        except RefusalError as refusal:
            obstacles.append(f"{node.name}: {refusal}")
            continue
        axes[output] = axis
        for index, input_axis in inputs.items():
            read = node.inputs[index]
            assert read is not None
            needed.setdefault(read, {})[(node, index)] = input_axis
    return axes, obstacles


def _narrowed_inputs(node: onnx_ir.Node, axis: int) -> dict[int, int]:
    """Inputs that can be narrowed to one position when the output is along `axis`, each with its own axis.

    Raises RefusalError where the output needs all positions of an input, or where an input is not computed.
    """
    first = node.inputs[0]
    if first is None or len(node.outputs) > 1 or node.domain:
        raise RefusalError(f"{node.op_type} is not known to compute each token separately")
    inputs = _input_axes(node, first, axis)
    for index in inputs:
        read = node.inputs[index]
        if read is None or read.producer() is None:
            raise RefusalError(f"its input {index} is not computed, so that its first token cannot be taken")
    return inputs


def _input_axes(node: onnx_ir.Node, first: onnx_ir.Value, axis: int) -> dict[int, int]:
    output = node.outputs[0]
    rank = _rank(output)
    if node.op_type in _BY_ELEMENT:
        return _broadcast_axes(node, axis, rank)
    last_axis = node.attributes.get_int("axis", -1) in (-1, rank - 1)
    if node.op_type in _ALONG_LAST and last_axis and axis < rank - 1:
        return {0: axis}
    if (
        node.op_type == "MatMul"
        and axis == rank - 2
        and all(_rank(value) > 1 for value in node.inputs if value)
    ):
        return {0: _rank(first) - 2}
    if node.op_type == "Transpose" and "perm" in node.attributes:
        return {0: tuple(node.attributes["perm"].as_ints())[axis]}
    if node.op_type == "Reshape" and axis == 1 and _rank(first) > 1:
        # (batch, tokens, ...) to (batch, tokens, ...), where all sizes after the tokens are known
        shape = shape_of(output)
        known = all(isinstance(size, int) for size in shape[2:])
        if known and tuple(shape_of(first)[:2]) == tuple(shape[:2]):
            return {0: 1}
    raise RefusalError(f"{node.op_type} needs all tokens along axis {axis}")


def _broadcast_axes(node: onnx_ir.Node, axis: int, rank: int) -> dict[int, int]:
    """For each input that has more than one position along the output's `axis`, its own axis."""
    axes = {}
    for index, value in enumerate(node.inputs):
        # Clip may have one limit only
        if value is None:
            continue
        # Broadcasting aligns axes at the end
        own = axis - (rank - _rank(value))
        if own >= 0 and shape_of(value)[own] != 1:
            axes[index] = own
    return axes


def _narrow(graph: Graph, axes: TokenAxes) -> None:
    """Give the values in `axes` size 1 along the tokens, with the first token of all other values that they need."""
    first_tokens: dict[tuple[onnx_ir.Value, int], onnx_ir.Value] = {}
    for output, axis in axes.items():
        node = node_of(output)
        for index, own in _narrowed_inputs(node, axis).items():
            read = node.inputs[index]
            assert read is not None
            if read in axes:
                continue
            if (read, own) not in first_tokens:
                first_tokens[read, own] = _first_token_of(graph, read, own)
            node.replace_input_with(index, first_tokens[read, own])
    for output, axis in axes.items():
        node = node_of(output)
        sizes = _one_along(output, axis)
        if node.op_type == "Reshape":
            _reshape_to(graph, node, sizes)
        output.shape = onnx_ir.Shape(sizes)


def _reshape_to(graph: Graph, node: onnx_ir.Node, sizes: list[int | onnx_ir.SymbolicDim]) -> None:
    """Let `node` reshape to `sizes`, of which only the batch's is not known; 0 keeps that."""
    known = [size for size in sizes[1:] if isinstance(size, int)]
    assert len(known) == len(sizes) - 1
    node.replace_input_with(1, shared_constant(graph, np.array([0, *known], dtype=np.int64)))
    node.attributes.pop("allowzero", None)


def _first_token_of(graph: Graph, value: onnx_ir.Value, axis: int) -> onnx_ir.Value:
    """The first token of `value`, which keeps its axis."""
    insertion = Insertion.after(graph, value)
    return insertion.add(
        "Gather",
        [value, insertion.sizes(0)],
        attributes={"axis": axis},
        label="first_token",
        shape=_one_along(value, axis),
        dtype=dtype_of(value),
    )


def _one_along(value: onnx_ir.Value, axis: int) -> list[int | onnx_ir.SymbolicDim]:
    sizes = list(shape_of(value))
    sizes[axis] = 1
    return sizes


def _rank(value: onnx_ir.Value) -> int:
    if value.shape is None:
        raise RefusalError(f"{value.name} does not have a known shape")
    return len(value.shape)
