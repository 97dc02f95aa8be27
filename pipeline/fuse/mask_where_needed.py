"""Adding attention's mask only where something is masked."""

import numpy as np
import onnx_ir

from pipeline.fuse import fusion
from pipeline.fuse.rewriting import constant, describe, tidy
from pipeline.graph import Graph
from pipeline.nodes import sole_reader
from pipeline.passes import Applied


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
    """Put an If in the place of `softmax` and the sum `added` ahead of it."""
    axis = softmax.attributes.get_int("axis", -1)
    output = softmax.outputs[0]
    assert output.shape is not None
    name = str(softmax.name)

    plain = onnx_ir.node("Softmax", [scores], {"axis": axis}, name=f"{name}_unmasked")
    mask = added.inputs[1]
    total = onnx_ir.node("Add", [scores, mask], name=f"{name}_masked/Add")
    masked = onnx_ir.node("Softmax", [total.outputs[0]], {"axis": axis}, name=f"{name}_masked")
    for node in (plain, total, masked):
        describe(node.outputs[0], output.shape, output.dtype)
    branches = {
        "then_branch": onnx_ir.Graph([], plain.outputs, nodes=[plain], name=f"{name}_unmasked"),
        "else_branch": onnx_ir.Graph([], masked.outputs, nodes=[total, masked], name=f"{name}_masked"),
    }
    choice = onnx_ir.node("If", [unmasked], branches, name=f"{name.rpartition('/')[0]}/If")
    chosen = describe(choice.outputs[0], output.shape, output.dtype)
    graph.graph.insert_after(softmax, choice)
    output.replace_all_uses_with(chosen)
    graph.graph.remove([softmax, added], safe=True)
