"""Adding attention's mask only where something is masked."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir

from pipeline.graph.builder import sole_reader
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import constant, describe, tidy

_PRODUCTS = frozenset(("MatMul", "MatMulIntegerToFloat"))


@fusion(
    "mask_where_needed", after=("first_token", "flatten_tokens", "integer_matmul", "constants"), per_layer=1
)
def mask_where_needed(graph: Graph) -> Applied:
    """A batch without padding skips the sum of scores and mask, which reads and writes every score of every head.

    Exact: there the mask is 0 everywhere. The choice is an If on the sum of the mask's magnitudes, once for all layers.
    """
    nothing_masked: dict[onnx_ir.Value, onnx_ir.Value] = {}
    rewrites = 0
    refusals = []
    for softmax in list(graph.graph):
        if softmax.op_type != "Softmax":
            continue
        found = _mask(softmax)
        if isinstance(found, str):
            refusals.append(f"{softmax.name}: {found}")
            continue
        added, scores, mask = found
        if mask not in nothing_masked:
            nothing_masked[mask] = _nothing_masked(graph, mask)
        _choose(graph, softmax, added, scores, nothing_masked[mask])
        rewrites += 1
    if rewrites:
        tidy(graph)
    return Applied(rewrites=rewrites, refusals=tuple(refusals))


def _mask(softmax: onnx_ir.Node) -> tuple[onnx_ir.Node, onnx_ir.Value, onnx_ir.Value] | str:
    """The sum that `softmax` reads, its scores and its mask, or why it has none."""
    read = softmax.inputs[0]
    added = None if read is None else read.producer()
    if read is None or added is None or added.op_type != "Add" or sole_reader(read) is None:
        return "no mask is added ahead of it, for it alone"
    if softmax.outputs[0].is_graph_output():
        return "its output is an output of the graph"
    scores, mask = added.inputs
    # The mask has one row for all queries, or one head for all: the smaller of the two
    if scores is None or mask is None or scores.shape is None or mask.shape is None:
        return "the shapes of scores and mask are not known"
    if len(scores.shape) != 4 or len(mask.shape) != 4 or mask.shape[1] != 1:
        return f"{mask.name} has shape {mask.shape}, must be (batch, 1, queries, keys)"
    if mask.producer() is None:
        return f"{mask.name} is not computed, so whether it masks is known without looking"
    return added, scores, mask


def _nothing_masked(graph: Graph, mask: onnx_ir.Value) -> onnx_ir.Value:
    """Whether `mask` is 0 everywhere, as a value of the graph."""
    producer = mask.producer()
    assert producer is not None
    assert mask.dtype is not None
    module = str(producer.name).rpartition("/")[0]
    total = onnx_ir.node("ReduceL1", [mask], {"keepdims": 0}, name=f"{module}/ReduceL1_mask")
    equal = onnx_ir.node(
        "Equal",
        [total.outputs[0], constant(graph, np.zeros((), dtype=mask.dtype.numpy()))],
        name=f"{module}/Equal_mask",
    )
    describe(total.outputs[0], [], mask.dtype)
    graph.graph.insert_after(producer, [total, equal])
    return describe(equal.outputs[0], [], onnx_ir.DataType.BOOL)


def _choose(
    graph: Graph, softmax: onnx_ir.Node, added: onnx_ir.Node, scores: onnx_ir.Value, unmasked: onnx_ir.Value
) -> None:
    """Put an If in the place of `softmax`, the sum `added` ahead of it, and what touches the scores besides.

    The product that makes the scores and the quantization of the softmax move into the branches: a branch may write
    over its own values and not over the graph's, so that a softmax of outer scores would need memory of its own.
    """
    masked = [*_alone(scores, _PRODUCTS), added, softmax, *_alone_after(softmax)]
    plain = [node for node in masked if node is not added]
    output = masked[-1].outputs[0]
    assert output.shape is not None
    name = str(softmax.name)
    branches = {
        "then_branch": _branch(plain, f"{name}_unmasked", {added.outputs[0]: scores}),
        "else_branch": _branch(masked, f"{name}_masked", {}),
    }
    choice = onnx_ir.node("If", [unmasked], branches, name=f"{name.rpartition('/')[0]}/If")
    chosen = describe(choice.outputs[0], output.shape, output.dtype)
    graph.graph.insert_after(masked[-1], choice)
    output.replace_all_uses_with(chosen)
    graph.graph.remove(masked, safe=True)


def _alone(value: onnx_ir.Value, operators: frozenset[str]) -> list[onnx_ir.Node]:
    """What computes `value`, where it is one of `operators` and one node alone reads it."""
    producer = value.producer()
    known = producer is not None and producer.op_type in operators and sole_reader(value) is not None
    return [producer] if producer is not None and known else []


def _alone_after(softmax: onnx_ir.Node) -> list[onnx_ir.Node]:
    """What quantizes the output of `softmax`, where nothing else reads it."""
    reader = sole_reader(softmax.outputs[0])
    if reader is None or reader.op_type != "QuantizeLinear" or reader.outputs[0].is_graph_output():
        return []
    return [reader]


def _branch(
    nodes: Sequence[onnx_ir.Node], name: str, instead: Mapping[onnx_ir.Value, onnx_ir.Value]
) -> onnx_ir.Graph:
    """Copies of `nodes`, which follow one another, as a graph without inputs; `instead` says what replaces a value."""
    copies: list[onnx_ir.Node] = []
    made = dict[onnx_ir.Value, onnx_ir.Value]()
    suffix = name.rpartition("_")[2]
    for node in nodes:
        read = [None if value is None else instead.get(value, value) for value in node.inputs]
        copy = onnx_ir.node(
            node.op_type,
            [None if value is None else made.get(value, value) for value in read],
            domain=node.domain,
            name=f"{node.name}_{suffix}",
            attributes=dict(node.attributes),
        )
        output = node.outputs[0]
        assert output.shape is not None
        made[output] = describe(copy.outputs[0], output.shape, output.dtype)
        copies.append(copy)
    return onnx_ir.Graph([], copies[-1].outputs, nodes=copies, name=name)
