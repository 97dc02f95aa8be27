"""Whether everything that an ONNX file reads is given before, by a node, an input or a weight."""

from pathlib import Path

import onnx_ir

from pipeline.errors import UsageError

_HINT = "export it again: the ONNX file contradicts itself"


def check(model: onnx_ir.Model, path: Path) -> None:
    """Raise UsageError where a node of `model`, which was read from `path`, or an output reads what nothing gives.

    A node must come after those that it reads, as ONNX wants it; so none can read each other in a circle.
    """
    before: set[onnx_ir.Node] = set()
    for node in model.graph.all_nodes():
        for value in node.inputs:
            if value is not None and not _is_given(value, before):
                raise UsageError(
                    f"{path} is not usable: the node {node.name!r:.200} ({node.op_type:.80}) reads "
                    f"{value.name!r:.200}, which nothing before it gives",
                    hint=_HINT,
                )
        before.add(node)
    for value in model.graph.outputs:
        if not _is_given(value, before):
            raise UsageError(
                f"{path} is not usable: nothing gives its output {value.name!r:.200}", hint=_HINT
            )


def _is_given(value: onnx_ir.Value, before: set[onnx_ir.Node]) -> bool:
    producer = value.producer()
    if producer is None:
        return value.is_graph_input() or value.is_initializer()
    return producer in before
