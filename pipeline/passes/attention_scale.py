"""The division of attention's queries by the root of a head's width, done once, in the weights."""

import numpy as np
import onnx_ir

from pipeline.graph.builder import array_of, initializer, is_operator
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import tidy

# What moves numbers about and changes none
_MOVES = ("Transpose", "Reshape")


@fusion("attention_scale", per_layer=1)
def attention_scale(graph: Graph) -> Applied:
    """q / sqrt(D) becomes weight and bias of the projection, divided; exact where sqrt(D) is a power of two."""
    rewrites = 0
    refusals = []
    for node in list(graph.graph):
        divisor = array_of(node.inputs[1]) if is_operator(node, "Div") else None
        if divisor is None or divisor.ndim:
            if is_operator(node, "Div"):
                refusals.append(f"{node.name}: its divisor is no single constant")
            continue
        found = _projection(node) if float(divisor) > 0 else f"its divisor is {divisor}, must be positive"
        if isinstance(found, str):
            refusals.append(f"{node.name}: {found}")
            continue
        for reader, index in found:
            old = reader.inputs[index]
            array = array_of(old)
            assert old is not None
            assert array is not None
            name = str(old.name)
            graph.graph.initializers.pop(name)
            reader.replace_input_with(index, initializer(graph, name, array / divisor.astype(array.dtype)))
        source = node.inputs[0]
        assert source is not None
        node.outputs[0].replace_all_uses_with(source)
        graph.graph.remove(node, safe=True)
        rewrites += 1
    if rewrites:
        tidy(graph)
    return Applied(rewrites=rewrites, refusals=tuple(refusals))


def _projection(divide: onnx_ir.Node) -> list[tuple[onnx_ir.Node, int]] | str:
    """Where the weight and the bias of what `divide` divides are read, or why they cannot take its factor."""
    value = divide.inputs[0]
    while value is not None:
        producer = value.producer()
        if producer is None or len(value.uses()) > 1 or value.is_graph_output():
            return f"{value.name} has other readers, or is not computed"
        if is_operator(producer, *_MOVES):
            value = producer.inputs[0]
            continue
        product = producer.inputs[0].producer() if producer.inputs[0] is not None else None
        if not is_operator(producer, "Add") or product is None or not is_operator(product, "MatMul"):
            return f"{producer.name} is no bias added to a matrix product"
        if len(product.outputs[0].uses()) > 1 or product.outputs[0].is_graph_output():
            return f"{product.outputs[0].name} has other readers"
        for reader in (product, producer):
            read = reader.inputs[1]
            array = array_of(read)
            if (
                read is None
                or array is None
                or len(read.uses()) > 1
                or not np.issubdtype(array.dtype, np.floating)
            ):
                return f"input 1 of {reader.name} is no constant of its own"
        return [(product, 1), (producer, 1)]
    return "its first input is left out"
