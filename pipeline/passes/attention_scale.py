"""The division of attention's queries by the root of a head's width, done once, in the weights."""

import numpy as np
import onnx_ir

from pipeline.graph.builder import replace_initializer
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.refusal import RefusalError, rewrite_each

# Operators that move numbers and do not change any
_MOVES = ("Transpose", "Reshape")


@graph_pass("attention_scale", per_layer=1)
def attention_scale(graph: Graph) -> PassResult:
    """q / sqrt(D) becomes weight and bias of the projection, divided; exact where sqrt(D) is a power of two."""

    def rewrite(divide: onnx_ir.Node) -> None:
        divisor = array_of(divide.inputs[1])
        if divisor is None or divisor.ndim:
            raise RefusalError("its divisor is not a single constant")
        if not float(divisor) > 0:
            raise RefusalError(f"its divisor is {divisor}, must be positive")
        for value in _weight_and_bias(divide):
            array = array_of(value)
            assert array is not None
            replace_initializer(graph, value, array / divisor.astype(array.dtype))
        queries = divide.inputs[0]
        assert queries is not None
        divide.outputs[0].replace_all_uses_with(queries)
        graph.graph.remove(divide, safe=True)

    result = rewrite_each((node for node in list(graph.graph) if is_operator(node, "Div")), rewrite)
    if result.rewrites:
        tidy(graph)
    return result


def _weight_and_bias(divide: onnx_ir.Node) -> tuple[onnx_ir.Value, onnx_ir.Value]:
    """Weight and bias of the projection that `divide` divides; RefusalError where they cannot take its factor."""
    value = divide.inputs[0]
    while value is not None:
        node = value.producer()
        if node is None or len(value.uses()) > 1 or value.is_graph_output():
            raise RefusalError(f"{value.name} has other readers, or is not computed")
        if is_operator(node, *_MOVES):
            value = node.inputs[0]
            continue
        product = node.inputs[0].producer() if node.inputs[0] is not None else None
        if not is_operator(node, "Add") or product is None or not is_operator(product, "MatMul"):
            raise RefusalError(f"{node.name} does not add a bias to a matrix product")
        if len(product.outputs[0].uses()) > 1 or product.outputs[0].is_graph_output():
            raise RefusalError(f"{product.outputs[0].name} has other readers")
        return _own_constant(product), _own_constant(node)
    raise RefusalError("its first input is left out")


def _own_constant(node: onnx_ir.Node) -> onnx_ir.Value:
    """The second input of `node`, a constant in floating point that nothing else reads."""
    value = node.inputs[1]
    array = array_of(value)
    if value is None or array is None or len(value.uses()) > 1 or not np.issubdtype(array.dtype, np.floating):
        raise RefusalError(f"input 1 of {node.name} is not a floating point constant of its own")
    return value
