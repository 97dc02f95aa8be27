"""Raising a graph's opset, where none of its operators means anything else afterwards."""

import onnx
from onnx import defs

from pipeline.graph.file import Graph

# Each opset has the first IR version that it may be stored in (onnx.helper.OP_SET_ID_VERSION_MAP, the other way about)
_IR_VERSION = {23: 11}


def changed(graph: Graph, opset: int) -> tuple[str, ...]:
    """Operators of `graph` whose inputs, outputs or attributes differ between its opset and `opset`."""
    current = graph.opset_imports[""]
    names = sorted({node.op_type for node in graph.graph if node.domain == ""})
    return tuple(name for name in names if _signature(name, current) != _signature(name, opset))


def raise_opset(graph: Graph, opset: int) -> None:
    """Declare `opset`, which none of the graph's operators may be changed by; never lowers it."""
    graph.graph.opset_imports[""] = max(opset, graph.opset_imports[""])
    graph.ir_version = max(graph.ir_version, _IR_VERSION[opset])


def _signature(name: str, opset: int) -> tuple[object, ...] | None:
    try:
        schema = defs.get_schema(name, opset)
    except onnx.defs.SchemaError:
        return None
    return (
        tuple(each.name for each in schema.inputs),
        tuple(each.name for each in schema.outputs),
        tuple(
            sorted((each.name, each.default_value.SerializeToString()) for each in schema.attributes.values())
        ),
    )
