"""Export of a PyTorch head as an ONNX graph with dynamic axes, the checkpoint's names and no superfluous nodes."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import onnx_ir
import onnxscript.optimizer
import onnxscript.rewriter
import torch
from distilforge.manifest import Span
from onnx_ir.passes import common
from onnxscript.rewriter.rules.common import (
    add_0_rule,
    cast_cast_rule,
    collapse_slice2_rule,
    collapse_slice_rule,
    mul_by_1_rule,
    no_op_cast_rule,
    no_op_expand_rule,
    no_op_transpose_rule,
    reshape_reshape_rule,
    squeeze_reshape_1d_rule,
    transpose_transpose_rule,
    unsqueeze_unsqueeze_rule,
)

from model_src.heads.base import Head
from pipeline.graph import collector
from pipeline.graph import names as graph_names
from pipeline.graph.builder import replace_initializer
from pipeline.graph.file import Graph, check

INPUTS = ("input_ids", "attention_mask")

# 20 is the first opset with Gelu as one operator, and every consumer reads it: ONNX Runtime, Optimum and
# transformers.js, TensorRT 10 and 11, TensorRT-RTX. Later opsets add Attention (23), which TensorRT-RTX rejects in
# fp32, so the export writes attention in its parts, and passes replace it for those targets that gain by it.
OPSET = 20

# Sizes to trace with. They differ, so that torch does not take one axis for another, and are not 1, which it would fix.
_EXAMPLE = {"batch": 2, "choices": 3, "sequence": 5}

# Rules for what the exporter writes in more operators than needed. onnxscript's default set also has rules that drop
# biases that are zero, which a fresh model has, and rules for convolutions.
_RULES = (
    no_op_cast_rule,
    no_op_expand_rule,
    no_op_transpose_rule,
    add_0_rule,
    mul_by_1_rule,
    cast_cast_rule,
    collapse_slice_rule,
    collapse_slice2_rule,
    reshape_reshape_rule,
    squeeze_reshape_1d_rule,
    transpose_transpose_rule,
    unsqueeze_unsqueeze_rule,
)

# The rewrites of one round make more constants, which the next round folds; a third round changes nothing.
ROUNDS = 2


def export(model: Head, spans: Mapping[str, Span]) -> Graph:
    """`model` as a checked ONNX graph whose axes are dynamic over `spans`.

    Inputs are input_ids and attention_mask, int64 of `model.axes`; outputs are named by `model.outputs`. Weights keep
    the names of `model.named_parameters()`; the weight of a linear layer is stored (in, out), as MatMul reads it.
    Raises ValueError for a graph that is not valid, and the errors of torch for a model that cannot be traced.
    """
    example = torch.ones([_example_size(axis, spans[axis]) for axis in model.axes], dtype=torch.int64)
    dynamic = {
        index: torch.export.Dim(axis, min=spans[axis].low, max=spans[axis].high)
        for index, axis in enumerate(model.axes)
        if spans[axis].low < spans[axis].high
    }
    with _quiet(), torch.no_grad(), collector.paused():
        program = torch.onnx.export(
            model,
            (example, torch.ones_like(example)),
            dynamo=True,
            input_names=INPUTS,
            output_names=model.outputs,
            dynamic_shapes=dict.fromkeys(INPUTS, dynamic),
            opset_version=OPSET,
            optimize=False,
            verbose=False,
        )
    assert program is not None
    graph = program.model
    parameters = _restore_parameter_names(graph, model)
    _simplify(graph, parameters)
    graph_names.name_constants(graph, parameters)
    graph_names.name_nodes(graph, model.name)
    graph_names.drop_exporter_notes(graph)
    graph.graph.name = model.name
    common.ShapeInferencePass()(graph)
    check(graph)
    return graph


def _example_size(axis: str, span: Span) -> int:
    return max(span.low, min(_EXAMPLE[axis], span.high))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's log messages and warnings about its own internals; errors are still raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _restore_parameter_names(graph: Graph, model: Head) -> frozenset[str]:
    """Give tied weights their first name instead of the last, which the exporter uses, and return all first names."""
    first_names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        kept = first_names.setdefault(parameter.data_ptr(), name)
        if name != kept and name in graph.graph.initializers:
            value = graph.graph.initializers[name]
            if kept in graph.graph.initializers:
                value.replace_all_uses_with(graph.graph.initializers[kept])
                graph.graph.initializers.pop(name)
            else:
                value.name = kept
    return frozenset(first_names.values())


def _simplify(graph: Graph, parameters: frozenset[str]) -> None:
    """Fold constants, remove unused nodes and share equal values. Equal parameters stay separate."""
    common.InlinePass()(graph)
    _store_transposed(graph, parameters)
    for _ in range(ROUNDS):
        onnxscript.optimizer.fold_constants(
            graph, onnx_shape_inference=True, should_fold=partial(_may_fold, parameters)
        )
        onnxscript.rewriter.rewrite(graph, pattern_rewrite_rules=_RULES)
        common.RemoveUnusedNodesPass()(graph)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    _share_constants(graph, parameters)
    common.CommonSubexpressionEliminationPass()(graph)
    common.RemoveUnusedNodesPass()(graph)
    common.RemoveUnusedOpsetsPass()(graph)
    common.TopologicalSortPass()(graph)


def _store_transposed(graph: Graph, parameters: frozenset[str]) -> None:
    """Store each weight that only a Transpose reads in transposed form, under its own name."""
    for node in list(graph.graph):
        weight = node.inputs[0] if node.op_type == "Transpose" else None
        if weight is None or weight.name not in parameters or len(weight.uses()) > 1:
            continue
        assert weight.const_value is not None
        # A view: weights are laid out when they are written, one at a time
        transposed = weight.const_value.numpy().transpose()
        replacement = replace_initializer(graph, weight, transposed)
        node.outputs[0].replace_all_uses_with(replacement)
        graph.graph.remove(node, safe=True)


def _may_fold(parameters: frozenset[str], node: onnx_ir.Node) -> bool | None:
    """False for what would store a weight twice, or take its name away; None for the others.

    A Transpose that is left reads a tied weight. Where all texts have one length, their positions could be looked up.
    """
    is_lookup = node.op_type == "Gather" and node.inputs[0] is not None and node.inputs[0].name in parameters
    return False if is_lookup or node.op_type == "Transpose" else None


def _share_constants(graph: Graph, parameters: frozenset[str]) -> None:
    """Keep one of each group of equal constants."""
    by_content: dict[tuple[str, tuple[int, ...], bytes], onnx_ir.Value] = {}
    for name, value in list(graph.graph.initializers.items()):
        if name in parameters or value.const_value is None:
            continue
        array = value.const_value.numpy()
        kept = by_content.setdefault((str(array.dtype), array.shape, array.tobytes()), value)
        if kept is not value:
            value.replace_all_uses_with(kept)
            graph.graph.initializers.pop(name)
