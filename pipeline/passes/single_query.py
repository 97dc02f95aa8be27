"""Attention with one query a text, where keys and values need not be computed token by token."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.builder import Insertion, Size, replace_initializer
from pipeline.graph.file import Graph
from pipeline.graph.values import (
    array_of,
    dtype_of,
    is_operator,
    other_input,
    producer,
    shape_of,
    sole_reader,
)
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.refusal import RefusalError, rewrite_each

_KEYS = (0, 2, 3, 1)
"""How keys (batch, tokens, heads, channels) are transposed for the scores."""

_VALUES = (0, 2, 1, 3)
"""How values (batch, tokens, heads, channels) are transposed for the context."""

_SWAP = {"perm": (0, 2, 1)}
"""Transposes the last two of three axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projection:
    """A linear layer from hidden states to all heads' keys or values."""

    hidden: onnx_ir.Value
    """The hidden states that it reads, (batch, tokens, in)."""

    weight: onnx_ir.Value
    """(in, heads * channels)."""

    bias: onnx_ir.Value
    """(heads * channels)."""

    @property
    def array(self) -> npt.NDArray[np.generic]:
        """The content of the weight."""
        array = array_of(self.weight)
        assert array is not None
        return array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attention:
    """An attention with one query a text."""

    scores: onnx_ir.Node
    """The product of the query and the keys, (batch, heads, 1, tokens)."""

    weights: onnx_ir.Value
    """The softmax of the masked scores, (batch, heads, 1, tokens)."""

    context: onnx_ir.Node
    """The product of the weights and the values, (batch, heads, 1, channels)."""

    key: _Projection
    """The projection that gives the keys."""

    value: _Projection
    """The projection that gives the values."""

    heads: int
    """How many heads there are."""

    channels: int
    """The width of one head."""

    @property
    def batch(self) -> Size:
        """The number of texts."""
        return shape_of(self.weights)[0]

    @property
    def rows(self) -> Size:
        """The number of texts times that of heads."""
        if isinstance(self.batch, int):
            return self.batch * self.heads
        return onnx_ir.SymbolicDim(f"{self.batch.value}*{self.heads}")

    @property
    def square(self) -> tuple[Size, ...]:
        """(batch, heads, heads, channels): each head's row has the channels of all heads."""
        return self.batch, self.heads, self.heads, self.channels


@graph_pass("single_query", after=("attention_scale", "first_token"), per_graph=1)
def single_query(graph: Graph) -> PassResult:
    """Where a text has one query, that query is projected instead of the keys, and the average instead of the values.

    q (x W_k + b_k)^T is (q W_k^T) x^T plus a number that is the same for all keys, which softmax ignores. Weights that
    sum to 1 average x W_v + b_v to the projection of their average of x. Each head has its own average, so both
    projections have one row for each head instead of one for each token.
    """

    def rewrite(softmax: onnx_ir.Node) -> None:
        attention = _attention(softmax)
        _project_query(graph, attention)
        _project_average(graph, attention)

    softmaxes = [node for node in graph.graph if is_operator(node, "Softmax")]
    result = rewrite_each(softmaxes, rewrite)
    if result.rewrites:
        tidy(graph)
    return result


def _attention(softmax: onnx_ir.Node) -> _Attention:
    """The attention around `softmax`; RefusalError where it cannot be rewritten."""
    weights = softmax.outputs[0]
    if weights.shape is None or len(weights.shape) != 4:
        raise RefusalError(f"its output has shape {weights.shape}, must be (batch, heads, queries, keys)")
    if weights.shape[2] != 1:
        raise RefusalError(
            f"it has {weights.shape[2]} queries for each text, must be 1", before="first_token"
        )
    if softmax.attributes.get_int("axis", -1) not in (-1, 3):
        raise RefusalError("it does not sum to 1 over the keys")
    context = sole_reader(weights)
    if context is None or not is_operator(context, "MatMul") or context.inputs[0] is not weights:
        raise RefusalError("its only reader must be a MatMul with the values")
    scores = _scores(softmax)
    key, value = _projection(scores, _KEYS), _projection(context, _VALUES)
    assert scores.inputs[0] is not None
    query = scores.inputs[0].shape
    if query is None or not all(isinstance(query[axis], int) for axis in (1, 3)):
        raise RefusalError(f"its queries have shape {query}, must have known numbers of heads and channels")
    heads, channels = (size for size in (query[1], query[3]) if isinstance(size, int))
    for projection in (key, value):
        if projection.array.shape[1] != heads * channels:
            raise RefusalError(
                f"{projection.weight.name} has {projection.array.shape[1]} columns, must have {heads} heads of "
                f"{channels} channels"
            )
    return _Attention(
        scores=scores,
        context=context,
        weights=weights,
        key=key,
        value=value,
        heads=heads,
        channels=channels,
    )


def _scores(softmax: onnx_ir.Node) -> onnx_ir.Node:
    """The product that `softmax` reads, directly or as a term of a sum with a mask."""
    node = producer(softmax, 0)
    candidates = (
        [node] if node is None or not is_operator(node, "Add") else [producer(node, i) for i in (0, 1)]
    )
    for candidate in candidates:
        if candidate is not None and is_operator(candidate, "MatMul"):
            if sole_reader(candidate.outputs[0]) is None:
                raise RefusalError(f"its scores {candidate.outputs[0].name} have other readers")
            return candidate
    raise RefusalError("it reads neither a MatMul nor the sum of a MatMul and a mask")


def _projection(product: onnx_ir.Node, perm: tuple[int, ...]) -> _Projection:
    """The linear layer whose output `product` reads as heads, transposed by `perm`."""
    transpose = _private_input(product, 1, "Transpose")
    if tuple(transpose.attributes.get_ints("perm", ())) != perm:
        raise RefusalError(f"{transpose.name} does not transpose by {perm}")
    split = _private_input(transpose, 0, "Reshape")
    add = _private_input(split, 0, "Add")
    shapes = split.outputs[0].shape, add.outputs[0].shape
    if any(shape is None for shape in shapes) or len({tuple(shape or ())[:2] for shape in shapes}) > 1:
        raise RefusalError(f"{split.name} reshapes more than the channels")
    computed = next((index for index in (0, 1) if array_of(add.inputs[index]) is None), 0)
    matmul = _private_input(add, computed, "MatMul")
    bias = other_input(add, matmul.outputs[0])
    hidden, weight = matmul.inputs
    assert hidden is not None
    assert weight is not None
    array, bias_array = array_of(weight), array_of(bias)
    if array is None or array.ndim != 2 or len(weight.uses()) > 1:
        raise RefusalError(f"{weight.name} is not a matrix of its own")
    if bias is None or bias_array is None or bias_array.shape != array.shape[1:]:
        raise RefusalError(f"{add.name} does not add a constant with one number for each channel")
    if hidden.shape is None or len(hidden.shape) != 3:
        raise RefusalError(f"{hidden.name} has shape {hidden.shape}, must be (batch, tokens, channels)")
    return _Projection(hidden=hidden, weight=weight, bias=bias)


def _private_input(node: onnx_ir.Node, index: int, operator: str) -> onnx_ir.Node:
    """The node that computes input `index` of `node`, which must be an `operator` that nothing else reads."""
    read = producer(node, index)
    if read is None or not is_operator(read, operator):
        raise RefusalError(f"input {index} of {node.name} is not computed by {operator}")
    if sole_reader(read.outputs[0]) is None:
        raise RefusalError(f"{read.outputs[0].name} has other readers")
    return read


def _project_query(graph: Graph, attention: _Attention) -> None:
    """Compute the scores as products of hidden states with one projected query for each head."""
    key, heads, batch, rows = attention.key, attention.heads, attention.batch, attention.rows
    width, inner = key.array.shape
    transposed = replace_initializer(graph, key.weight, key.array.T)
    query, scores = attention.scores.inputs[0], attention.scores.outputs[0]
    tokens = shape_of(key.hidden)[1]
    at = Insertion.before(graph, attention.scores, dtype=dtype_of(attention.weights))
    value = at.add("Mul", [query, _own_head(at, attention)], label="queries", shape=attention.square)
    value = at.add("Reshape", [value, at.sizes(-1, inner)], label="queries", shape=[rows, inner])
    value = at.add("MatMul", [value, transposed], label="queries", shape=[rows, width])
    value = at.add("Reshape", [value, at.sizes(-1, heads, width)], label="heads", shape=[batch, heads, width])
    # Transposing the queries is cheaper than transposing the hidden states
    value = at.add("Transpose", [value], attributes=_SWAP, label="heads", shape=[batch, width, heads])
    value = at.add("MatMul", [key.hidden, value], label="scores", shape=[batch, tokens, heads])
    value = at.add("Transpose", [value], attributes=_SWAP, label="scores", shape=[batch, heads, tokens])
    value = at.add("Unsqueeze", [value, at.sizes(2)], label="scores", shape=[batch, heads, 1, tokens])
    scores.replace_all_uses_with(value)


def _project_average(graph: Graph, attention: _Attention) -> None:
    """Compute the context from the projections of each head's average of the hidden states.

    A projected row has the channels of all heads, of which the head whose average it is keeps its own.
    """
    values, heads, batch, rows = attention.value, attention.heads, attention.batch, attention.rows
    channels = attention.channels
    width, inner = values.array.shape
    tokens = shape_of(values.hidden)[1]
    at = Insertion.before(graph, attention.context, dtype=dtype_of(attention.weights))
    weights = [attention.weights, at.sizes(2)]
    value = at.add("Squeeze", weights, label="weights", shape=[batch, heads, tokens])
    value = at.add("MatMul", [value, values.hidden], label="average", shape=[batch, heads, width])
    value = at.add("Reshape", [value, at.sizes(-1, width)], label="average", shape=[rows, width])
    value = at.add("MatMul", [value, values.weight], label="values", shape=[rows, inner])
    value = at.add("Add", [value, values.bias], label="values", shape=[rows, inner])
    value = at.add(
        "Reshape",
        [value, at.sizes(-1, heads * heads, channels)],
        label="values",
        shape=[batch, heads * heads, channels],
    )
    own = [row * heads + row for row in range(heads)]
    value = at.add(
        "Gather", [value, at.sizes(*own)], attributes={"axis": 1}, label="own", shape=[batch, heads, channels]
    )
    value = at.add("Unsqueeze", [value, at.sizes(2)], label="values", shape=[batch, heads, 1, channels])
    attention.context.outputs[0].replace_all_uses_with(value)


def _own_head(at: Insertion, attention: _Attention) -> onnx_ir.Value:
    """(heads, heads, 1): 1 where a row's head is that of the channels, otherwise 0."""
    return at.constant(np.eye(attention.heads, dtype=attention.key.array.dtype)[:, :, None])
