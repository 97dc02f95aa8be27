"""Recognizes positions that are counted from 0."""

import onnx_ir

from pipeline.graph.values import array_of


def counted(positions: onnx_ir.Value) -> onnx_ir.Value | None:
    """The number, a scalar, up to which `positions` count 0, 1, 2, .., the same for each text; None if they do not."""
    node = positions.producer()
    if node is not None and node.op_type == "Unsqueeze" and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None or node.op_type != "Range":
        return None
    start, limit, step = node.inputs
    first, difference = array_of(start), array_of(step)
    if first is None or difference is None or int(first) != 0 or int(difference) != 1:
        return None
    return limit
