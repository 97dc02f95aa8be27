"""Folding what can be computed before any input is known, and merging duplicate constants."""

import onnxscript.optimizer
from onnx_ir.passes import common

from pipeline.graph.builder import shared_constant
from pipeline.graph.file import Graph
from pipeline.graph.names import CONSTANT
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy


@graph_pass(
    "constants", after=("packed_qkv", "attention_mha", "attention_mha_flash", "attention_onnx", "transposes")
)
def constants(graph: Graph) -> PassResult:
    """Constants folded and shared, and nodes that compute the same value merged; equal weights stay separate.

    Counts the nodes and constants that are removed.
    """
    before = _size(graph)
    # The only transposes left read a tied weight: folding one would store that weight twice
    onnxscript.optimizer.fold_constants(
        graph, should_fold=lambda node: False if node.op_type == "Transpose" else None
    )
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    for name, value in list(graph.graph.initializers.items()):
        if value.const_value is None or not _is_unnamed(name):
            continue
        kept = shared_constant(graph, value.const_value.numpy())
        if kept is not value:
            value.replace_all_uses_with(kept)
            graph.graph.initializers.pop(name)
    common.CommonSubexpressionEliminationPass()(graph)
    tidy(graph)
    return PassResult(rewrites=before - _size(graph))


def _is_unnamed(name: str) -> bool:
    """Whether an initializer does not have a name of the checkpoint, but a number or that of a folded node."""
    return name.startswith(CONSTANT) or "/" in name


def _size(graph: Graph) -> int:
    return len(list(graph.graph)) + len(graph.graph.initializers)
