"""What can be computed before any input is known, and what is there twice."""

import onnxscript.optimizer
from onnx_ir.passes import common

from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import constant, tidy


@fusion(
    "constants", after=("packed_qkv", "attention_mha", "attention_mha_flash", "attention_onnx", "transposes")
)
def constants(graph: Graph) -> Applied:
    """Constants folded and shared, and nodes that compute the same thing merged; weights keep their names apart.

    Counts the nodes and constants that went.
    """
    before = _size(graph)
    # A transpose that is left reads a tied weight, which would be stored twice
    onnxscript.optimizer.fold_constants(
        graph, should_fold=lambda node: False if node.op_type == "Transpose" else None
    )
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    for name, value in list(graph.graph.initializers.items()):
        if value.const_value is None or not _is_unnamed(name):
            continue
        kept = constant(graph, value.const_value.numpy())
        if kept is not value:
            value.replace_all_uses_with(kept)
            graph.graph.initializers.pop(name)
    common.CommonSubexpressionEliminationPass()(graph)
    tidy(graph)
    return Applied(rewrites=before - _size(graph))


def _is_unnamed(name: str) -> bool:
    """Whether an initializer is no weight of the checkpoint: numbered, or named after the node that was folded."""
    return name.startswith("constant_") or "/" in name


def _size(graph: Graph) -> int:
    return len(list(graph.graph)) + len(graph.graph.initializers)
