"""Raising a graph's opset, if none of its operators means something else afterwards."""

from onnx import defs

from pipeline.graph.file import Graph

# The first IR version that a model of an opset may have (onnx.helper.OP_SET_ID_VERSION_MAP, in the other direction)
_IR_VERSION = {23: 11}


def changed(graph: Graph, opset: int) -> tuple[str, ...]:
    """Operators of `graph` whose inputs, outputs or attributes differ between its opset and `opset`."""
    current = graph.opset_imports[""]
    names = sorted({node.op_type for node in graph.graph if node.domain == ""})
    return tuple(name for name in names if _signature(name, current) != _signature(name, opset))


def raise_opset(graph: Graph, opset: int) -> None:
    """Declare `opset`, for which `changed` must be empty, unless the graph declares a higher one."""
    graph.graph.opset_imports[""] = max(opset, graph.opset_imports[""])
    graph.ir_version = max(graph.ir_version, _IR_VERSION[opset])


def _signature(name: str, opset: int) -> tuple[object, ...] | None:
    """Names of an operator's inputs and outputs, and its attributes with their defaults; None for an unknown one."""
    try:
        schema = defs.get_schema(name, opset)
    except defs.SchemaError:
        return None
    return (
        tuple(value.name for value in schema.inputs),
        tuple(value.name for value in schema.outputs),
        tuple(
            sorted(
                (attribute.name, attribute.default_value.SerializeToString())
                for attribute in schema.attributes.values()
            )
        ),
    )
