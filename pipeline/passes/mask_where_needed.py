"""Adding attention's mask only where something is masked."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir

from pipeline.graph.builder import Insertion, describe
from pipeline.graph.file import Graph
from pipeline.graph.names import module_of
from pipeline.graph.values import dtype_of, shape_of, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.masked_scores import MaskedScores, masked_scores
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.refusal import rewrite_each

_PRODUCTS = frozenset(("MatMul", "MatMulIntegerToFloat"))


@graph_pass(
    "mask_where_needed", after=("first_token", "flatten_tokens", "integer_matmul", "constants"), per_layer=1
)
def mask_where_needed(graph: Graph) -> PassResult:
    """A batch without padding skips the sum of scores and mask, which reads and writes every score of every head.

    Exact: there the mask is 0 everywhere. One If, shared by all layers, tests whether the mask is all zeros.
    """
    nothing_masked: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def rewrite(softmax: onnx_ir.Node) -> None:
        masked = masked_scores(softmax)
        if masked.mask not in nothing_masked:
            nothing_masked[masked.mask] = _nothing_masked(graph, masked.mask)
        _choose(graph, softmax, masked, nothing_masked[masked.mask])

    softmaxes = [node for node in graph.graph if node.op_type == "Softmax"]
    result = rewrite_each(softmaxes, rewrite)
    if result.rewrites:
        tidy(graph)
    return result


def _nothing_masked(graph: Graph, mask: onnx_ir.Value) -> onnx_ir.Value:
    """Whether `mask` is 0 everywhere, as a value of the graph."""
    insertion = Insertion.after(graph, mask, dtype=dtype_of(mask))
    total = insertion.add("ReduceL1", [mask], attributes={"keepdims": 0}, label="mask", shape=[])
    zero = insertion.constant(np.zeros((), dtype=dtype_of(mask).numpy()))
    return insertion.add("Equal", [total, zero], label="mask", shape=[], dtype=onnx_ir.DataType.BOOL)


def _choose(graph: Graph, softmax: onnx_ir.Node, masked: MaskedScores, unmasked: onnx_ir.Value) -> None:
    """Replace `softmax`, the sum ahead of it and other nodes that read or write the scores by an If.

    The product that computes the scores and the quantization of the softmax move into the branches: a branch may
    write over its own values but not over the graph's, so the softmax of outer scores would need memory of its own.
    """
    nodes = [*_sole_product(masked.scores), masked.add, softmax, *_sole_quantization(softmax)]
    without_add = [node for node in nodes if node is not masked.add]
    output = nodes[-1].outputs[0]
    name = str(softmax.name)
    branches = {
        "then_branch": _branch(without_add, f"{name}_unmasked", {masked.add.outputs[0]: masked.scores}),
        "else_branch": _branch(nodes, f"{name}_masked", {}),
    }
    insertion = Insertion.after(graph, output, module=module_of(name), dtype=dtype_of(output))
    choice = insertion.add("If", [unmasked], attributes=branches, shape=shape_of(output))
    output.replace_all_uses_with(choice)
    graph.graph.remove(nodes, safe=True)


def _sole_product(scores: onnx_ir.Value) -> list[onnx_ir.Node]:
    """The matrix product that computes `scores`, if only one node reads them."""
    node = scores.producer()
    if node is None or node.op_type not in _PRODUCTS or sole_reader(scores) is None:
        return []
    return [node]


def _sole_quantization(softmax: onnx_ir.Node) -> list[onnx_ir.Node]:
    """The node that quantizes the output of `softmax`, if nothing else reads that output."""
    reader = sole_reader(softmax.outputs[0])
    if reader is None or reader.op_type != "QuantizeLinear" or reader.outputs[0].is_graph_output():
        return []
    return [reader]


def _branch(
    nodes: Sequence[onnx_ir.Node], name: str, replaced: Mapping[onnx_ir.Value, onnx_ir.Value]
) -> onnx_ir.Graph:
    """Copies of `nodes`, each of which reads the one before it, as a graph without inputs.

    Where a node reads a key of `replaced`, its copy reads the value there.
    """
    copies: list[onnx_ir.Node] = []
    values = dict(replaced)
    suffix = name.rpartition("_")[2]
    for node in nodes:
        copy = onnx_ir.node(
            node.op_type,
            [_copied(value, values) for value in node.inputs],
            domain=node.domain,
            name=f"{node.name}_{suffix}",
            attributes=dict(node.attributes),
        )
        output = node.outputs[0]
        values[output] = describe(copy.outputs[0], shape_of(output), dtype_of(output))
        copies.append(copy)
    return onnx_ir.Graph([], copies[-1].outputs, nodes=copies, name=name)


def _copied(
    value: onnx_ir.Value | None, values: Mapping[onnx_ir.Value, onnx_ir.Value]
) -> onnx_ir.Value | None:
    """The value that a copy reads instead of `value`; a replaced value may itself have a copy."""
    while value is not None and value in values:
        value = values[value]
    return value
