"""Quantized linear layers as ONNX Runtime's integer matrix product, with scales and bias inside it.

Where a layer was quantized with fixed ranges (Q/DQ) or dynamically, ONNX Runtime multiplies the 8-bit numbers and
scales the sums in one kernel. ONNX Runtime's own optimizer leaves some Q/DQ layers as products with dequantized
weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Insertion, drop_if_unused, replace
from pipeline.graph.file import Graph
from pipeline.graph.names import module_of
from pipeline.graph.values import array_of, dtype_of, is_operator, other_input, producer, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT
from pipeline.passes.refusal import RefusalError, rewrite_each

NAME = "integer_matmul"
# Operators that only move numbers, between a factor's dequantization and its product
_MOVES = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantized:
    """A factor of a product: its real value is scale x (numbers - zero point)."""

    numbers: onnx_ir.Value
    """The 8-bit numbers."""

    scale: onnx_ir.Value
    """One scale, or one for each output channel."""

    zero_point: onnx_ir.Value | None
    """Zero points, as many as scales; None where all are 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """A product of quantized factors, which is to become one operator."""

    activation: _Quantized
    """The first factor."""

    weight: _Quantized
    """The second factor: a weight, or another activation in one of attention's products."""

    last: onnx_ir.Node
    """The node that gives the scaled sums."""

    float_activation: onnx_ir.Value | None = None
    """The activation before it was quantized, where nothing else reads the numbers, so that the kernel can do it."""


# A plan may exclude modules from quantization, so there is no fixed number for each layer; but no quantized layer may
# stay.
@graph_pass(NAME, emits=frozenset({MICROSOFT}), per_graph=1, every=True)
def integer_matmul(graph: Graph) -> PassResult:
    """8-bit linear layers become one integer matrix product each, with scales and bias inside (com.microsoft)."""

    def rewrite(node: onnx_ir.Node) -> None:
        product = _dynamic(node) if is_operator(node, "MatMulInteger") else _static(node)
        _replace(graph, node, product)

    result = rewrite_each(_quantized_products(graph), rewrite)
    if result.rewrites:
        graph.graph.opset_imports[MICROSOFT] = 1
    return result


def _quantized_products(graph: Graph) -> Iterator[onnx_ir.Node]:
    """The nodes that multiply quantized numbers."""
    for node in tuple(graph.graph):
        is_static = _is_dequantized(node, 0) or _is_dequantized(node, 1)
        is_dynamic = is_operator(node, "MatMulInteger") and producer(node, 0) is not None
        if is_static or is_dynamic:
            yield node


def _is_dequantized(node: onnx_ir.Node, index: int) -> bool:
    """Whether `node` is a matrix product whose factor `index` was dequantized, and at most moved since."""
    if node.op_type not in ("MatMul", "Gemm", "FusedMatMul"):
        return False
    before = producer(node, index)
    while before is not None and is_operator(before, *_MOVES):
        before = producer(before, 0)
    return before is not None and is_operator(before, "DequantizeLinear")


def _static(node: onnx_ir.Node) -> _Product:
    """MatMul of a dequantized activation with a dequantized weight, or with another dequantized activation."""
    if not is_operator(node, "MatMul"):
        raise RefusalError(f"it is a {node.op_type} of quantized numbers, and only MatMul is rewritten")
    activation, weight = producer(node, 0), producer(node, 1)
    if weight is None or not is_operator(weight, "DequantizeLinear"):
        raise RefusalError("its activation is quantized and its second factor is not")
    from_activation = activation is not None and is_operator(activation, "DequantizeLinear")
    if activation is not None and from_activation and _reads_activation(weight):
        factor = _one_scale(weight)
        zero = array_of(factor.zero_point)
        without = factor.zero_point is None or (zero is not None and not zero.any())
        return _Product(
            activation=_one_scale(activation),
            weight=_Quantized(
                numbers=factor.numbers, scale=factor.scale, zero_point=None if without else factor.zero_point
            ),
            last=node,
        )
    if activation is None or not from_activation:
        raise RefusalError("its weight is quantized and its activation is not")
    if weight.attributes.get_int("axis", 1) not in (1, -1):
        raise RefusalError("the scales of its weight do not lie along the output channels")
    return _Product(activation=_one_scale(activation), weight=_weight(_inputs(weight)), last=node)


def _reads_activation(dequantize: onnx_ir.Node) -> bool:
    """Whether `dequantize` reads computed numbers, as in attention's products, and not a weight."""
    numbers = dequantize.inputs[0]
    assert numbers is not None
    node = numbers.producer()
    if node is None:
        return False
    is_weight = is_operator(node, "Transpose") and array_of(node.inputs[0]) is not None
    return not is_weight


def _one_scale(dequantize: onnx_ir.Node) -> _Quantized:
    factor = _inputs(dequantize)
    if factor.scale.shape is None or factor.scale.shape.rank() != 0:
        raise RefusalError(f"{factor.numbers.name} has more than one scale")
    return factor


def _dynamic(node: onnx_ir.Node) -> _Product:
    """MatMulInteger whose sums are cast to float and multiplied by the product of both scales."""
    quantize = producer(node, 0)
    if quantize is None or not is_operator(quantize, "DynamicQuantizeLinear"):
        raise RefusalError("its activation does not come from DynamicQuantizeLinear")
    numbers, scale, zero_point = quantize.outputs
    cast = sole_reader(node.outputs[0])
    scaled = sole_reader(cast.outputs[0]) if cast is not None and is_operator(cast, "Cast") else None
    if cast is None or scaled is None or not is_operator(scaled, "Mul"):
        raise RefusalError("its sums are not cast to float and scaled")
    factor = other_input(scaled, cast.outputs[0])
    scales = factor.producer() if factor is not None else None
    if scales is None or not is_operator(scales, "Mul") or scale not in scales.inputs:
        raise RefusalError("its scale is not the product of the activation's and the weight's")
    weight, weight_scale = node.inputs[1], other_input(scales, scale)
    assert weight is not None
    assert weight_scale is not None
    weight_zero_point = node.inputs[3] if len(node.inputs) > 3 else None
    only_reader = sole_reader(numbers) is not None and sole_reader(scale) is not None
    return _Product(
        activation=_Quantized(numbers=numbers, scale=scale, zero_point=zero_point),
        weight=_weight(_Quantized(numbers=weight, scale=weight_scale, zero_point=weight_zero_point)),
        last=scaled,
        float_activation=quantize.inputs[0] if only_reader else None,
    )


def _inputs(dequantize: onnx_ir.Node) -> _Quantized:
    numbers, scale = dequantize.inputs[:2]
    assert numbers is not None
    assert scale is not None
    zero_point = dequantize.inputs[2] if len(dequantize.inputs) > 2 else None
    return _Quantized(numbers=numbers, scale=scale, zero_point=zero_point)


def _weight(factor: _Quantized) -> _Quantized:
    """`factor` as a weight, which must be constant; zero points that are all 0 are left out: the kernel is faster."""
    node = factor.numbers.producer()
    matrix = node.inputs[0] if node is not None and is_operator(node, "Transpose") else factor.numbers
    array = array_of(matrix)
    if array is None or array.ndim != 2:
        raise RefusalError("its weight is not a constant matrix")
    if array_of(factor.scale) is None:
        raise RefusalError("the scales of its weight are not constant")
    zeros = array_of(factor.zero_point)
    if factor.zero_point is not None and zeros is None:
        raise RefusalError("the zero points of its weight are not constant")
    zero_point = factor.zero_point if zeros is not None and zeros.any() else None
    return _Quantized(numbers=factor.numbers, scale=factor.scale, zero_point=zero_point)


def _replace(graph: Graph, node: onnx_ir.Node, product: _Product) -> None:
    """Put one operator in the place of `node`, of what scales its sums, and of the bias that is added to them."""
    sums = product.last.outputs[0]
    last, bias = product.last, None
    after = sole_reader(sums)
    if after is not None and (bias := _bias(after, sums, product.weight)) is not None:
        last = after
    read = dict.fromkeys([*node.inputs, *product.last.inputs])
    activation, weight = product.activation, product.weight
    inputs: list[onnx_ir.Value | None]
    if product.float_activation is None:
        op_type = "MatMulIntegerToFloat"
        inputs = [activation.numbers, weight.numbers, activation.scale, weight.scale]
        inputs += [activation.zero_point, weight.zero_point, bias]
    else:
        op_type = "DynamicQuantizeMatMul"
        inputs = [product.float_activation, weight.numbers, weight.scale, weight.zero_point, bias]
    while inputs[-1] is None:
        inputs.pop()
    output = last.outputs[0]
    insertion = Insertion.before(graph, last, module=module_of(str(node.name)))
    operator = insertion.add(op_type, inputs, shape=output.shape, dtype=dtype_of(output), domain=MICROSOFT)
    replace(graph, last, operator)
    for value in (sums, *read):
        if value is not None and value.graph is not None:
            drop_if_unused(graph, value)


def _bias(add: onnx_ir.Node, sums: onnx_ir.Value, weight: _Quantized) -> onnx_ir.Value | None:
    """The constant with one number for each output channel that `add` adds to `sums`; None where it adds another."""
    if not is_operator(add, "Add"):
        return None
    other = other_input(add, sums)
    array, scales = array_of(other), array_of(weight.scale)
    if array is None or array.ndim != 1:
        return None
    return other if scales is None or scales.ndim != 1 or len(array) == len(scales) else None
