"""Q/DQ around attention's two products, q k^T and softmax(..) v; mask and softmax stay in floating point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.errors import ContractError
from pipeline.graph.builder import constant, insert
from pipeline.graph.file import Graph
from pipeline.graph.values import is_operator, producer, sole_reader
from pipeline.precision.ranges.grids import LARGEST
from pipeline.precision.ranges.ranges import LEVELS, Range

# What moves numbers about and changes none, so that it may move the 8-bit ones.
_MOVES = ("Reshape", "Transpose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One factor: the projection's output `source`, what first moves it, and what the product reads in the end."""

    source: onnx_ir.Value
    moves: tuple[onnx_ir.Node, ...]
    read: onnx_ir.Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """The two products of one layer: `scores` is q k^T, `context` is weights times v."""

    module: str
    scores: onnx_ir.Node
    context: onnx_ir.Node
    weights: onnx_ir.Value
    query: Operand
    key: Operand
    value: Operand

    @property
    def activations(self) -> tuple[onnx_ir.Value, ...]:
        """What needs a range from calibration; the softmax's is 0 to 1 by its definition."""
        return self.query.source, self.key.source, self.value.source


def find(graph: Graph, layers: int) -> tuple[Attention, ...]:
    """Every attention in the graph; ContractError where there are fewer than `layers`, or none.

    What `single_query` rewrote is passed over: its products are small, and read hidden states in place of projections.
    """
    found, refusals = [], []
    expected = max(layers, 1)
    for node in graph.graph:
        if not is_operator(node, "Softmax"):
            continue
        if _averages_hidden_states(node):
            expected -= 1
            continue
        attention = _attention(node)
        if isinstance(attention, str):
            refusals.append(f"{node.name}: {attention}")
        else:
            found.append(attention)
    if len(found) < expected:
        raise ContractError("int8_attention", len(found), expected, refusals)
    return tuple(found)


def quantize(
    graph: Graph, attentions: Sequence[Attention], ranges: Mapping[str, Range], *, bits: int
) -> None:
    """Let both products of each attention read 8-bit numbers, in place.

    Queries and softmax are unsigned; keys and values, which take a weight's place in the integer product, are signed
    with as many bits as weights have. `ranges` are by the projections' names.
    """
    for each in attentions:
        _unsigned(graph, each, each.query, ranges[str(each.query.source.name)])
        _signed(graph, each, each.key, "key", ranges[str(each.key.source.name)], bits)
        _signed(graph, each, each.value, "value", ranges[str(each.value.source.name)], bits)
        weights = Operand(source=each.weights, moves=(), read=each.weights)
        _unsigned(graph, each, weights, Range(low=0.0, high=1.0), kind="weights")


def _unsigned(graph: Graph, each: Attention, operand: Operand, found: Range, kind: str = "query") -> None:
    _round_trip(graph, each, operand, kind, found.scale, found.zero_point, onnx_ir.DataType.UINT8)


def _signed(graph: Graph, each: Attention, operand: Operand, kind: str, found: Range, bits: int) -> None:
    largest = max(-found.low, found.high)
    symmetric = Range(low=0.0, high=largest * LEVELS / LARGEST[bits])
    _round_trip(graph, each, operand, kind, symmetric.scale, np.int8(0), onnx_ir.DataType.INT8, LARGEST[bits])


def _round_trip(
    graph: Graph,
    each: Attention,
    operand: Operand,
    kind: str,
    scale: np.float32,
    zero_point: np.uint8 | np.int8,
    dtype: onnx_ir.DataType,
    largest: int = LEVELS,
) -> None:
    """Quantize ahead of the moves, dequantize right ahead of the product, and let the moves carry 8-bit numbers."""
    name = f"{each.module}.{kind}"
    parameters = [
        constant(graph, f"{name}_scale", np.asarray(scale)),
        constant(graph, f"{name}_zero_point", np.asarray(zero_point)),
    ]
    product = each.scores if kind in ("query", "key") else each.context
    first = operand.moves[0] if operand.moves else product
    source = operand.source
    if dtype == onnx_ir.DataType.INT8 and largest < LARGEST[8]:
        source = _clipped(graph, name, source, first, scale * np.float32(largest))
    quantized = insert(
        graph,
        first,
        "QuantizeLinear",
        [source, *parameters],
        name=f"{name}/QuantizeLinear",
        dtype=dtype,
        shape=operand.source.shape,
    )
    for move in operand.moves:
        move.replace_input_with(0, quantized)
        quantized = move.outputs[0]
        quantized.dtype = dtype
    restored = insert(
        graph,
        product,
        "DequantizeLinear",
        [quantized, *parameters],
        name=f"{name}/DequantizeLinear",
        dtype=onnx_ir.DataType.FLOAT,
        shape=operand.read.shape,
    )
    product.replace_input_with(0 if kind in ("query", "weights") else 1, restored)


def _clipped(
    graph: Graph, name: str, value: onnx_ir.Value, before: onnx_ir.Node, bound: np.float32
) -> onnx_ir.Value:
    """`value` within plus and minus `bound`: QuantizeLinear itself would go on to the whole range of 8 bits."""
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


def _averages_hidden_states(softmax: onnx_ir.Node) -> bool:
    """Whether each head averages with its weights what all heads share."""
    squeeze = sole_reader(softmax.outputs[0])
    if squeeze is None or not is_operator(squeeze, "Squeeze"):
        return False
    average = sole_reader(squeeze.outputs[0])
    return average is not None and is_operator(average, "MatMul") and average.inputs[0] is squeeze.outputs[0]


def _attention(softmax: onnx_ir.Node) -> Attention | str:
    """The attention around `softmax`, or why there is none that can be quantized."""
    weights = softmax.outputs[0]
    context = sole_reader(weights)
    masked = producer(softmax, 0)
    if context is None or not is_operator(context, "MatMul") or context.inputs[0] is not weights:
        return "no matrix product alone reads its output"
    if masked is None or not is_operator(masked, "Add"):
        return "no mask is added ahead of it"
    scores = next(
        (node for index in (0, 1) if (node := producer(masked, index)) and is_operator(node, "MatMul")), None
    )
    if scores is None:
        return "the mask is not added to a matrix product"
    operands = [_operand(node, index) for node, index in ((scores, 0), (scores, 1), (context, 1))]
    for operand in operands:
        if isinstance(operand, str):
            return operand
    query, key, value = (operand for operand in operands if isinstance(operand, Operand))
    return Attention(
        module=str(softmax.name).rpartition("/")[0],
        scores=scores,
        context=context,
        weights=weights,
        query=query,
        key=key,
        value=value,
    )


def _operand(product: onnx_ir.Node, index: int) -> Operand | str:
    read = value = product.inputs[index]
    moves: list[onnx_ir.Node] = []
    node = None if value is None else value.producer()
    while value is not None and node is not None and is_operator(node, *_MOVES):
        if sole_reader(value) is None:
            return f"{value.name} has several readers"
        moves.insert(0, node)
        value = node.inputs[0]
        node = None if value is None else value.producer()
    if read is None or value is None or node is None:
        return f"{value.name if value else 'an input left out'} is not computed"
    if is_operator(node, "Div"):
        return f"{node.name} divides what {product.name} reads; let attention_scale go ahead"
    if not moves or not is_operator(node, "Add"):
        return f"input {index} of {product.name} is no projection's output, reshaped and transposed"
    return Operand(source=value, moves=tuple(moves), read=read)
