"""QuantizeLinear and DequantizeLinear around the products of attention; mask and softmax stay in floating point."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir

from pipeline.graph.builder import constant, insert
from pipeline.graph.file import Graph
from pipeline.precision.attention.products import Attention, Operand
from pipeline.precision.numbers.integers import LARGEST, IntegerRange

_SOFTMAX = IntegerRange(low=0.0, high=1.0)


def quantize(
    graph: Graph,
    attentions: Sequence[Attention],
    ranges: Mapping[str, IntegerRange],
    *,
    key_bits: int,
    value_bits: int,
) -> None:
    """Let both products of each attention read 8-bit numbers, in place.

    Queries and softmax are unsigned. Keys and values take the place of a weight in the integer product, so they are
    signed, of as many bits as weights have. `ranges` are by the names of the projections' outputs.
    """
    for attention in attentions:
        query, key, value = (ranges[str(source.name)] for source in attention.activations)
        for operand, operand_range in (
            (attention.query, query),
            (attention.key, key.symmetric(key_bits)),
            (attention.value, value.symmetric(value_bits)),
            (attention.weights, _SOFTMAX),
        ):
            _round_trip(graph, f"{attention.module}.{operand.kind}", operand, operand_range)


def _round_trip(graph: Graph, name: str, operand: Operand, operand_range: IntegerRange) -> None:
    """Quantize before the moves and dequantize right before the product, so that the moves carry 8-bit numbers."""
    parameters = [
        constant(graph, f"{name}_scale", np.asarray(operand_range.scale)),
        constant(graph, f"{name}_zero_point", np.asarray(operand_range.zero_point)),
    ]
    product = operand.product
    first = operand.moves[0] if operand.moves else product
    shape = operand.read.shape
    source = operand.source
    if operand_range.signed and operand_range.bits < 8:
        source = _clip(graph, name, source, first, operand_range)
    quantized = insert(
        graph,
        first,
        "QuantizeLinear",
        [source, *parameters],
        name=f"{name}/QuantizeLinear",
        dtype=operand_range.dtype,
        shape=operand.source.shape,
    )
    for move in operand.moves:
        move.replace_input_with(0, quantized)
        quantized = move.outputs[0]
        quantized.dtype = operand_range.dtype
    restored = insert(
        graph,
        product,
        "DequantizeLinear",
        [quantized, *parameters],
        name=f"{name}/DequantizeLinear",
        dtype=onnx_ir.DataType.FLOAT,
        shape=shape,
    )
    product.replace_input_with(operand.index, restored)


def _clip(
    graph: Graph, name: str, value: onnx_ir.Value, before: onnx_ir.Node, operand_range: IntegerRange
) -> onnx_ir.Value:
    """`value` clipped to its range: QuantizeLinear alone would use all of the 8 bits beyond it."""
    bound = operand_range.scale * np.float32(LARGEST[operand_range.bits])
    limits = [
        constant(graph, f"{name}_{end}", np.asarray(limit, dtype=np.float32))
        for end, limit in (("lowest", -bound), ("highest", bound))
    ]
    return insert(
        graph,
        before,
        "Clip",
        [value, *limits],
        name=f"{name}/Clip",
        dtype=onnx_ir.DataType.FLOAT,
        shape=value.shape,
    )
