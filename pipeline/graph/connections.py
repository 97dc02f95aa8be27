"""Whether everything that an ONNX file reads is given before, by a node, an input or a weight."""

from pathlib import Path

import onnx_ir

from pipeline.errors import UsageError

_HINT = "export it again: the ONNX file contradicts itself"


def check(model: onnx_ir.Model, path: Path) -> None:
    """Raise UsageError where a node of `model`, which was read from `path`, or an output reads what nothing gives.

    Nodes that are not in order are put into one; UsageError where they read each other in a circle.
    """
    for node in model.graph.all_nodes():
        for value in node.inputs:
            if value is not None and not _is_given(value):
                raise UsageError(
                    f"{path} is not usable: the node {node.name!r:.200} ({node.op_type:.80}) reads "
                    f"{value.name!r:.200}, which nothing gives",
                    hint=_HINT,
                )
    for value in model.graph.outputs:
        if not _is_given(value):
            raise UsageError(
                f"{path} is not usable: nothing gives its output {value.name!r:.200}", hint=_HINT
            )
    if not _is_in_order(model.graph):
        try:
            model.graph.sort()
        except ValueError as cause:
            raise UsageError(
                f"{path} is not usable: its nodes read each other in a circle", hint=_HINT
            ) from cause


def _is_given(value: onnx_ir.Value) -> bool:
    return value.producer() is not None or value.is_graph_input() or value.is_initializer()


def _is_in_order(graph: onnx_ir.Graph) -> bool:
    """Whether each node of `graph` comes after those that it reads; nodes of branches are not looked at."""
    before: set[onnx_ir.Node] = set()
    for node in graph:
        producers = (value.producer() for value in node.inputs if value is not None)
        if any(producer is not None and producer not in before for producer in producers):
            return False
        before.add(node)
    return True
