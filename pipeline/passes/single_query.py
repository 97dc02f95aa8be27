"""Attention with one query a text, where keys and values need not be computed token by token."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.builder import array_of, initializer, is_operator, other_input, producer, sole_reader
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import constant, describe, tidy

_KEYS = (0, 2, 3, 1)
"""How keys (batch, tokens, heads, channels) are transposed for the scores."""
_VALUES = (0, 2, 1, 3)

Sizes = list[int | onnx_ir.SymbolicDim]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projection:
    """hidden (batch, tokens, in) times weight (in, heads * channels) plus bias."""

    hidden: onnx_ir.Value
    weight: onnx_ir.Value
    bias: onnx_ir.Value

    @property
    def array(self) -> npt.NDArray[np.generic]:
        found = array_of(self.weight)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attention:
    """One query a text: `scores` is q k^T, `context` is `weights` times v."""

    module: str
    scores: onnx_ir.Node
    context: onnx_ir.Node
    weights: onnx_ir.Value
    key: _Projection
    value: _Projection
    heads: int
    channels: int


class _RefusedError(Exception):
    """Why an attention keeps its keys and values."""


@fusion("single_query", after=("attention_scale", "first_token"), per_graph=1)
def single_query(graph: Graph) -> Applied:
    """Where a text has one query, the query is projected in place of the keys and the average in place of the values.

    q (x W_k + b_k)^T is (q W_k^T) x^T plus a number that is the same for all keys, which softmax does not notice; and
    weights that sum to 1 average x W_v + b_v to the projection of their average of x. Each head has an average of its
    own, so that both projections have a row a head and not a row a token.
    """
    rewrites = 0
    refusals = []
    for softmax in list(graph.graph):
        if not is_operator(softmax, "Softmax"):
            continue
        try:
            found = _attention(softmax)
        except _RefusedError as why:
            refusals.append(f"{softmax.name}: {why}")
            continue
        _score(graph, found)
        _average(graph, found)
        rewrites += 1
    if rewrites:
        tidy(graph)
    return Applied(rewrites=rewrites, refusals=tuple(refusals))


def _attention(softmax: onnx_ir.Node) -> _Attention:
    """The attention around `softmax`."""
    weights = softmax.outputs[0]
    if weights.shape is None or len(weights.shape) != 4:
        raise _RefusedError(f"its output has shape {weights.shape}, must be (batch, heads, queries, keys)")
    if weights.shape[2] != 1:
        raise _RefusedError(f"{weights.shape[2]} queries a text, must be 1; first_token makes it so")
    if softmax.attributes.get_int("axis", -1) not in (-1, 3):
        raise _RefusedError("it does not sum to 1 over the keys")
    context = sole_reader(weights)
    if context is None or not is_operator(context, "MatMul") or context.inputs[0] is not weights:
        raise _RefusedError("no matrix product alone reads its output")
    scores = _scores(softmax)
    key, value = _projection(scores, _KEYS), _projection(context, _VALUES)
    assert scores.inputs[0] is not None
    query = scores.inputs[0].shape
    if query is None or not all(isinstance(query[axis], int) for axis in (1, 3)):
        raise _RefusedError(f"its queries have shape {query}, must have heads and channels that are known")
    heads, channels = (size for size in (query[1], query[3]) if isinstance(size, int))
    for each in (key, value):
        if each.array.shape[1] != heads * channels:
            raise _RefusedError(f"{each.weight.name} does not make {heads} heads of {channels} channels")
    return _Attention(
        module=str(softmax.name).rpartition("/")[0],
        scores=scores,
        context=context,
        weights=weights,
        key=key,
        value=value,
        heads=heads,
        channels=channels,
    )


def _scores(softmax: onnx_ir.Node) -> onnx_ir.Node:
    """The product that `softmax` reads, with a mask added or without; what is added takes no part in the rewrite."""
    added = producer(softmax, 0)
    makers = (
        [added] if added is None or not is_operator(added, "Add") else [producer(added, i) for i in (0, 1)]
    )
    for node in makers:
        if node is not None and is_operator(node, "MatMul"):
            if sole_reader(node.outputs[0]) is None:
                raise _RefusedError(f"its scores {node.outputs[0].name} have other readers")
            return node
    raise _RefusedError("it reads no matrix product, nor the sum of one and a mask")


def _projection(product: onnx_ir.Node, perm: tuple[int, ...]) -> _Projection:
    """The linear layer whose output `product` reads as heads, transposed by `perm`."""
    moved = _alone(product, 1, "Transpose")
    if tuple(moved.attributes.get_ints("perm", ())) != perm:
        raise _RefusedError(f"{moved.name} transposes otherwise than by {perm}")
    split = _alone(moved, 0, "Reshape")
    added = _alone(split, 0, "Add")
    shapes = split.outputs[0].shape, added.outputs[0].shape
    if any(shape is None for shape in shapes) or len({tuple(shape or ())[:2] for shape in shapes}) > 1:
        raise _RefusedError(f"{split.name} does not split channels alone")
    linear = next((index for index in (0, 1) if array_of(added.inputs[index]) is None), 0)
    multiplied = _alone(added, linear, "MatMul")
    bias = other_input(added, multiplied.outputs[0])
    hidden, weight = multiplied.inputs
    assert hidden is not None
    assert weight is not None
    array, numbers = array_of(weight), array_of(bias)
    if array is None or array.ndim != 2 or len(weight.uses()) > 1:
        raise _RefusedError(f"{weight.name} is no matrix of its own")
    if bias is None or numbers is None or numbers.shape != array.shape[1:]:
        raise _RefusedError(f"{added.name} adds no constant with one number a channel")
    if hidden.shape is None or len(hidden.shape) != 3:
        raise _RefusedError(f"{hidden.name} has shape {hidden.shape}, must be (batch, tokens, channels)")
    return _Projection(hidden=hidden, weight=weight, bias=bias)


def _alone(node: onnx_ir.Node, index: int, operator: str) -> onnx_ir.Node:
    """What computes input `index` of `node`, which must be an `operator` that nothing else reads."""
    found = producer(node, index)
    if found is None or not is_operator(found, operator):
        raise _RefusedError(f"input {index} of {node.name} is no output of {operator}")
    if sole_reader(found.outputs[0]) is None:
        raise _RefusedError(f"{found.outputs[0].name} has other readers")
    return found


def _score(graph: Graph, found: _Attention) -> None:
    """Scores as the products of hidden states with a projected query a head."""
    key = found.key
    name = str(key.weight.name)
    array = key.array
    hidden, inner = array.shape
    graph.graph.initializers.pop(name)
    turned = initializer(graph, name, array.T)
    query, scores = found.scores.inputs[0], found.scores.outputs[0]
    assert query is not None
    assert key.hidden.shape is not None
    batch, tokens, _ = key.hidden.shape
    add = _Adding(graph, found, found.scores)
    alone = add("Mul", [query, _one_head_each(graph, found)], "queries", _square(found, batch))
    rows = add("Reshape", [alone, _sizes(graph, -1, inner)], "queries", [_rows(found, batch), inner])
    projected = add("MatMul", [rows, turned], "queries", [_rows(found, batch), hidden])
    split = add(
        "Reshape", [projected, _sizes(graph, -1, found.heads, hidden)], "heads", [batch, found.heads, hidden]
    )
    # Transposing the queries is cheaper than transposing the hidden states
    turned = add("Transpose", [split], "heads", [batch, hidden, found.heads], perm=(0, 2, 1))
    products = add("MatMul", [key.hidden, turned], "scores", [batch, tokens, found.heads])
    products = add("Transpose", [products], "scores", [batch, found.heads, tokens], perm=(0, 2, 1))
    one = add("Unsqueeze", [products, _sizes(graph, 2)], "scores", [batch, found.heads, 1, tokens])
    scores.replace_all_uses_with(one)


def _average(graph: Graph, found: _Attention) -> None:
    """The context as the projections of each head's average of hidden states, of which each head keeps its own."""
    value = found.value
    hidden, inner = value.array.shape
    assert value.hidden.shape is not None
    batch, tokens, _ = value.hidden.shape
    heads, channels = found.heads, found.channels
    add = _Adding(graph, found, found.context)
    weights = add("Squeeze", [found.weights, _sizes(graph, 2)], "weights", [batch, heads, tokens])
    average = add("MatMul", [weights, value.hidden], "average", [batch, heads, hidden])
    rows = add("Reshape", [average, _sizes(graph, -1, hidden)], "average", [_rows(found, batch), hidden])
    projected = add("MatMul", [rows, value.weight], "values", [_rows(found, batch), inner])
    projected = add("Add", [projected, value.bias], "values", [_rows(found, batch), inner])
    sizes = _sizes(graph, -1, heads, heads, channels)
    split = add("Reshape", [projected, sizes], "values", _square(found, batch))
    own = add("Mul", [split, _one_head_each(graph, found)], "values", _square(found, batch))
    context = add("ReduceSum", [own, _sizes(graph, 2)], "values", [batch, heads, 1, channels], keepdims=1)
    found.context.outputs[0].replace_all_uses_with(context)


class _Adding:
    """Adds nodes of `found`'s module ahead of one of its products, in order."""

    def __init__(self, graph: Graph, found: _Attention, before: onnx_ir.Node) -> None:
        self._graph = graph
        self._found = found
        self._before = before

    def __call__(
        self,
        operator: str,
        inputs: list[onnx_ir.Value],
        what: str,
        shape: Sizes,
        **attributes: int | tuple[int, ...],
    ) -> onnx_ir.Value:
        name = f"{self._found.module}/{operator}_{what}"
        node = onnx_ir.node(operator, inputs, attributes, name=name)
        self._graph.graph.insert_before(self._before, node)
        return describe(node.outputs[0], shape, self._found.weights.dtype)


def _one_head_each(graph: Graph, found: _Attention) -> onnx_ir.Value:
    """(heads, heads, 1): 1 where row and head are the same."""
    return constant(graph, np.eye(found.heads, dtype=found.key.array.dtype)[:, :, None])


def _sizes(graph: Graph, *sizes: int) -> onnx_ir.Value:
    return constant(graph, np.array(sizes, dtype=np.int64))


def _square(found: _Attention, batch: int | onnx_ir.SymbolicDim) -> Sizes:
    return [batch, found.heads, found.heads, found.channels]


def _rows(found: _Attention, batch: int | onnx_ir.SymbolicDim) -> int | onnx_ir.SymbolicDim:
    if isinstance(batch, int):
        return batch * found.heads
    return onnx_ir.SymbolicDim(f"{batch.value}*{found.heads}")
