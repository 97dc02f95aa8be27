"""Quantized linear layers as ONNX Runtime's integer matrix product, with scales and bias inside it.

Where a layer was quantized with fixed ranges (Q/DQ) or dynamically, ONNX Runtime multiplies the 8-bit numbers and
scales the sums in one kernel. Left to its own optimizer, some Q/DQ layers become products with dequantized weights.
"""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import (
    array_of,
    drop_if_unused,
    insert,
    is_operator,
    other_input,
    producer,
    replace,
    sole_reader,
)
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import MICROSOFT

NAME = "integer_matmul"
# What only moves numbers about, between a factor's dequantization and its product
_MOVES = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """An integer product: what it reads, each as numbers, scale and zero point, and the last node it takes over."""

    activation: tuple[onnx_ir.Value, onnx_ir.Value, onnx_ir.Value | None]
    weight: tuple[onnx_ir.Value, onnx_ir.Value, onnx_ir.Value | None]
    last: onnx_ir.Node
    float_activation: onnx_ir.Value | None = None
    """Set where nothing else reads the quantized activation, so that the kernel may quantize it."""


class _RefusedError(Exception):
    """What looked like a quantized layer and cannot be rewritten; the message says why."""


# A plan's excluded modules stay as they are, so how many a layer has is not known; none that is quantized may be left.
@fusion(NAME, emits=frozenset({MICROSOFT}), per_graph=1, every=True)
def integer_matmul(graph: Graph) -> Applied:
    """8-bit linear layers become one integer matrix product each, with scales and bias inside (com.microsoft)."""
    rewrites, refusals = 0, []
    for node in tuple(graph.graph):
        try:
            found = _static(node) or _dynamic(node)
        except _RefusedError as refused:
            refusals.append(f"{node.name}: {refused}")
            continue
        if found is not None:
            _rewrite(graph, node, found)
            rewrites += 1
    if rewrites:
        graph.graph.opset_imports[MICROSOFT] = 1
    return Applied(rewrites=rewrites, refusals=tuple(refusals))


def _static(node: onnx_ir.Node) -> _Product | None:
    """MatMul of a dequantized activation with a dequantized weight, or with another dequantized activation."""
    if not (_reads_numbers(node, 0) or _reads_numbers(node, 1)):
        return None
    if not is_operator(node, "MatMul"):
        raise _RefusedError(f"it is a {node.op_type} of quantized numbers, and only MatMul is rewritten")
    activation, weight = producer(node, 0), producer(node, 1)
    if weight is None or not is_operator(weight, "DequantizeLinear"):
        raise _RefusedError("its activation is quantized and its second factor is not")
    if activation is not None and is_operator(activation, "DequantizeLinear") and _is_computed(weight):
        numbers, scale, zero_point = _one_scale(weight)
        zero = array_of(zero_point)
        without = zero_point is None or (zero is not None and not zero.any())
        return _Product(
            activation=_one_scale(activation),
            weight=(numbers, scale, None if without else zero_point),
            last=node,
        )
    if activation is None or not is_operator(activation, "DequantizeLinear"):
        raise _RefusedError("its weight is quantized and its activation is not")
    if weight.attributes.get_int("axis", 1) not in (1, -1):
        raise _RefusedError("the scales of its weight do not lie along the output channels")
    return _Product(activation=_one_scale(activation), weight=_weight(*_inputs(weight)), last=node)


def _reads_numbers(node: onnx_ir.Node, index: int) -> bool:
    """Whether a factor of the product `node` was dequantized, whatever moved it about since."""
    if node.op_type not in ("MatMul", "Gemm", "FusedMatMul"):
        return False
    before = producer(node, index)
    while before is not None and is_operator(before, *_MOVES):
        before = producer(before, 0)
    return before is not None and is_operator(before, "DequantizeLinear")


def _is_computed(dequantize: onnx_ir.Node) -> bool:
    """Whether what `dequantize` reads is an activation: one of attention's products, and no layer with a weight."""
    numbers = dequantize.inputs[0]
    assert numbers is not None
    turned = numbers.producer()
    weight = (
        turned is not None and is_operator(turned, "Transpose") and array_of(turned.inputs[0]) is not None
    )
    return turned is not None and not weight


def _one_scale(dequantize: onnx_ir.Node) -> tuple[onnx_ir.Value, onnx_ir.Value, onnx_ir.Value | None]:
    numbers, scale, zero_point = _inputs(dequantize)
    if scale.shape is None or scale.shape.rank() != 0:
        raise _RefusedError(f"{numbers.name} has more than one scale")
    return numbers, scale, zero_point


def _dynamic(node: onnx_ir.Node) -> _Product | None:
    """MatMulInteger whose sums are cast to float and multiplied by the product of both scales."""
    quantize = producer(node, 0) if is_operator(node, "MatMulInteger") else None
    if quantize is None:
        return None
    if not is_operator(quantize, "DynamicQuantizeLinear"):
        raise _RefusedError("its activation does not come from DynamicQuantizeLinear")
    numbers, scale, zero_point = quantize.outputs
    cast = sole_reader(node.outputs[0])
    scaled = sole_reader(cast.outputs[0]) if cast is not None and is_operator(cast, "Cast") else None
    if cast is None or scaled is None or not is_operator(scaled, "Mul"):
        raise _RefusedError("its sums are not cast to float and scaled")
    factor = other_input(scaled, cast.outputs[0])
    both = factor.producer() if factor is not None else None
    if both is None or not is_operator(both, "Mul") or scale not in both.inputs:
        raise _RefusedError("its scale is not the product of the activation's and the weight's")
    weight, weight_scale = node.inputs[1], other_input(both, scale)
    assert weight is not None
    assert weight_scale is not None
    weight_zero = node.inputs[3] if len(node.inputs) > 3 else None
    alone = sole_reader(numbers) is not None and sole_reader(scale) is not None
    return _Product(
        activation=(numbers, scale, zero_point),
        weight=_weight(weight, weight_scale, weight_zero),
        last=scaled,
        float_activation=quantize.inputs[0] if alone else None,
    )


def _inputs(node: onnx_ir.Node) -> tuple[onnx_ir.Value, onnx_ir.Value, onnx_ir.Value | None]:
    numbers, scale = node.inputs[:2]
    assert numbers is not None
    assert scale is not None
    return numbers, scale, node.inputs[2] if len(node.inputs) > 2 else None


def _weight(
    numbers: onnx_ir.Value, scale: onnx_ir.Value, zero_point: onnx_ir.Value | None
) -> tuple[onnx_ir.Value, onnx_ir.Value, onnx_ir.Value | None]:
    """What the product reads of a weight; zero points that are all 0 are left out, which spares the kernel work."""
    turned = numbers.producer()
    stored = turned.inputs[0] if turned is not None and is_operator(turned, "Transpose") else numbers
    array = array_of(stored)
    if array is None or array.ndim != 2:
        raise _RefusedError("its weight is no constant matrix")
    if array_of(scale) is None:
        raise _RefusedError("the scales of its weight are no constants")
    zeros = array_of(zero_point)
    if zero_point is not None and zeros is None:
        raise _RefusedError("the zero points of its weight are no constants")
    return numbers, scale, zero_point if zeros is not None and zeros.any() else None


def _rewrite(graph: Graph, node: onnx_ir.Node, found: _Product) -> None:
    module = str(node.name).partition("/")[0]
    last, bias = found.last, None
    after = sole_reader(last.outputs[0])
    if after is not None and (bias := _bias(after, last.outputs[0], found)) is not None:
        last = after
    read = dict.fromkeys([*node.inputs, *found.last.inputs])
    (numbers, scale, zero_point), (weight, weight_scale, weight_zero) = found.activation, found.weight
    if found.float_activation is None:
        op_type = "MatMulIntegerToFloat"
        inputs = [numbers, weight, scale, weight_scale, zero_point, weight_zero, bias]
    else:
        op_type = "DynamicQuantizeMatMul"
        inputs = [found.float_activation, weight, weight_scale, weight_zero, bias]
    while inputs[-1] is None:
        inputs.pop()
    output = last.outputs[0]
    assert output.dtype is not None
    product = insert(
        graph,
        last,
        op_type,
        inputs,
        name=f"{module}/{op_type}",
        dtype=output.dtype,
        shape=output.shape,
        domain=MICROSOFT,
    )
    replace(graph, last, product)
    for value in (found.last.outputs[0], *read):
        if value is not None and value.graph is not None:
            drop_if_unused(graph, value)


def _bias(add: onnx_ir.Node, sums: onnx_ir.Value, found: _Product) -> onnx_ir.Value | None:
    """The bias that `add` adds to `sums`: a constant with one number an output channel."""
    if not is_operator(add, "Add"):
        return None
    other = other_input(add, sums)
    array, scales = array_of(other), array_of(found.weight[1])
    assert scales is not None
    if array is None or array.ndim != 1 or (scales.ndim == 1 and len(array) != len(scales)):
        return None
    return other
