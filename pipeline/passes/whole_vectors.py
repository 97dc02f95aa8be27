"""Keys for whole vector registers, so that a softmax adds its terms in one order, however a text is padded."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.graph.builder import Insertion, Size, shared_constant
from pipeline.graph.file import Graph
from pipeline.graph.values import dtype_of, is_operator, shape_of, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.masked_scores import MaskedScores, masked_scores
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.refusal import RefusalError, rewrite_each

NUMBERS = 16
"""How many float32 numbers the widest vector registers hold, those of AVX-512."""
KEYS = onnx_ir.SymbolicDim("padded_keys")
"""The axis of the keys, padding included."""
_LABEL = "whole"
_OTHER_SCORES = "its scores are not those of a matrix product, or something else reads them"
_OTHER_READERS = "a matrix product must be the only reader of its output"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operand:
    """Keys or values, from the hidden states to attention's softmax, or from there."""

    tokens: onnx_ir.Value
    """The hidden states, (batch, tokens, hidden)."""

    product: onnx_ir.Node
    """The MatMul that reads `tokens`."""

    index: int
    """Which input of `product` is `tokens`."""

    changed: tuple[tuple[onnx_ir.Value, int], ...]
    """The values whose size grows, each with its axis of the keys."""

    reshape: onnx_ir.Node | None = None
    """The Reshape of a projection to (batch, tokens, heads, width); None where tokens are not projected."""

    widths: tuple[int, ...] = ()
    """Heads, and the width of a head, of a projection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Padding:
    """What all layers with one mask share."""

    mask: onnx_ir.Value
    """The mask, padded."""

    pads: onnx_ir.Value
    """How many keys are added before and behind, (2)."""


@graph_pass(
    "whole_vectors",
    after=("attention_scale", "first_token", "single_query", "flatten_tokens", "constants", "integer_matmul"),
    per_layer=1,
)
def whole_vectors(graph: Graph) -> PassResult:
    """Keys and values are computed for a multiple of 16 tokens, and what is added there is masked by minus infinity.

    Some engines add what is left over from whole vectors in another order. Then a softmax has other last bits where a
    text is padded, and 8-bit numbers behind it may fall on another step. What the projections read is padded, which in
    8 bits is a quarter of their output.
    """
    paddings: dict[onnx_ir.Value, _Padding] = {}
    padded: dict[tuple[onnx_ir.Value, onnx_ir.Value], onnx_ir.Value] = {}

    def rewrite(softmax: onnx_ir.Node) -> None:
        masked = masked_scores(softmax)
        operands = _operands(softmax, masked)
        if masked.mask not in paddings:
            paddings[masked.mask] = _padding(graph, masked.mask)
        padding = paddings[masked.mask]
        for operand in operands:
            key = operand.tokens, padding.pads
            if key not in padded:
                padded[key] = _pad(graph, *key)
            operand.product.replace_input_with(operand.index, padded[key])
            if operand.reshape is not None:
                # 0 keeps the batch, -1 is what remains
                sizes = np.array([0, -1, *operand.widths], dtype=np.int64)
                operand.reshape.replace_input_with(1, shared_constant(graph, sizes))
                operand.reshape.attributes.pop("allowzero", None)
            for value, axis in operand.changed:
                _grow(value, axis)
        masked.add.replace_input_with(1, padding.mask)
        for value in (masked.scores, masked.add.outputs[0], softmax.outputs[0]):
            _grow(value, 3)

    result = rewrite_each([node for node in graph.graph if is_operator(node, "Softmax")], rewrite)
    if result.rewrites:
        tidy(graph)
    return result


def _operands(softmax: onnx_ir.Node, masked: MaskedScores) -> tuple[_Operand, _Operand]:
    """Keys and values of the attention around `softmax`; RefusalError where they cannot be padded."""
    mask = masked.mask.producer()
    assert mask is not None
    if is_operator(mask, "Pad"):
        raise RefusalError("its mask is padded already")
    scores, context = masked.scores.producer(), sole_reader(softmax.outputs[0])
    if scores is None or sole_reader(masked.scores) is None:
        raise RefusalError(_OTHER_SCORES)
    if context is None:
        raise RefusalError(_OTHER_READERS)
    if is_operator(scores, "Unsqueeze") and is_operator(context, "Squeeze"):
        operands = _hidden_keys(scores), _hidden_values(context)
    elif not is_operator(scores, "MatMul"):
        raise RefusalError(_OTHER_SCORES)
    elif not is_operator(context, "MatMul") or context.inputs[0] is not softmax.outputs[0]:
        raise RefusalError(_OTHER_READERS)
    else:
        operands = _projection(scores, 3), _projection(context, 2)
    tokens = shape_of(masked.mask)[3]
    for operand in operands:
        shape = operand.tokens.shape
        if shape is None or len(shape) != 3 or shape[1] != tokens:
            raise RefusalError(f"{operand.tokens.name} has shape {shape}, must be (batch, {tokens}, hidden)")
    return operands


def _hidden_keys(unsqueeze: onnx_ir.Node) -> _Operand:
    """The hidden states that `single_query` multiplies by a query of each head: the product is (batch, keys, heads)."""
    nodes = _chain(unsqueeze.inputs[0], "Transpose", "MatMul")
    if not nodes or tuple(nodes[0].attributes.get_ints("perm", ())) != (0, 2, 1):
        raise RefusalError(f"{unsqueeze.name} does not have the scores of hidden states, read once")
    transpose, product = nodes
    return _hidden(product, 0, ((product.outputs[0], 1), (transpose.outputs[0], 2)))


def _hidden_values(squeeze: onnx_ir.Node) -> _Operand:
    """The hidden states of which `single_query` takes an average for each head."""
    weights = squeeze.outputs[0]
    product = sole_reader(weights)
    if product is None or not is_operator(product, "MatMul") or product.inputs[0] is not weights:
        raise RefusalError(_OTHER_READERS)
    return _hidden(product, 1, ((weights, 2),))


def _hidden(product: onnx_ir.Node, index: int, changed: tuple[tuple[onnx_ir.Value, int], ...]) -> _Operand:
    tokens = product.inputs[index]
    if tokens is None or any(value.shape is None or len(value.shape) != 3 for value, _ in changed):
        raise RefusalError(f"the shapes around {product.name} are not known")
    return _Operand(tokens=tokens, product=product, index=index, changed=changed)


def _projection(product: onnx_ir.Node, axis: int) -> _Operand:
    """The second operand of `product`, which has its keys at `axis`."""
    nodes = _chain(product.inputs[1], "Transpose", "Reshape", "Add", "MatMul")
    if not nodes:
        raise RefusalError(
            f"input 1 of {product.name} is not a projection with a bias, reshaped and transposed, that is read once"
        )
    changed: list[tuple[onnx_ir.Value, int]] = []
    for node in nodes:
        value = node.outputs[0]
        if value.shape is None:
            raise RefusalError(f"the shape of {value.name} is not known")
        changed.append((value, axis))
        if is_operator(node, "Transpose"):
            axis = node.attributes["perm"].as_ints()[axis]
    _, reshape, _, matmul = nodes
    sizes = shape_of(reshape.outputs[0])
    widths = tuple(size for size in sizes[2:] if isinstance(size, int))
    if axis != 1 or len(sizes) != 4 or len(widths) != 2:
        raise RefusalError(
            f"{reshape.outputs[0].name} has shape {sizes}, must be (batch, tokens, heads, width)"
        )
    tokens = matmul.inputs[0]
    assert tokens is not None
    return _Operand(
        tokens=tokens, product=matmul, index=0, reshape=reshape, widths=widths, changed=tuple(changed)
    )


def _chain(value: onnx_ir.Value | None, *operators: str) -> list[onnx_ir.Node]:
    """The nodes that compute `value`, the last first; empty if they are not `operators`, each read once."""
    nodes: list[onnx_ir.Node] = []
    for operator in operators:
        node = None if value is None else value.producer()
        if value is None or node is None or not is_operator(node, operator) or sole_reader(value) is None:
            return []
        nodes.append(node)
        value = node.inputs[0]
    return nodes


def _padding(graph: Graph, mask: onnx_ir.Value) -> _Padding:
    """How much is to be padded for `mask`, (batch, 1, queries or 1, keys), and the padded mask."""
    insertion = Insertion.after(graph, mask, dtype=onnx_ir.DataType.INT64)
    ends = {"start": 3, "end": 4}
    count = insertion.add("Shape", [mask], attributes=ends, label=_LABEL, shape=[1])
    negative = insertion.add("Neg", [count], label=_LABEL, shape=[1])
    # ONNX's Mod has the sign of the divisor, so this is what is missing to a multiple
    missing = insertion.add("Mod", [negative, insertion.sizes(NUMBERS)], label=_LABEL, shape=[1])
    pads = insertion.add(
        "Concat", [insertion.sizes(0), missing], attributes={"axis": 0}, label=_LABEL, shape=[2]
    )
    shape: list[Size] = [*shape_of(mask)[:3], KEYS]
    infinity = insertion.constant(np.array(-np.inf, dtype=dtype_of(mask).numpy()))
    whole = insertion.add(
        "Pad", [mask, pads, infinity, insertion.sizes(3)], label=_LABEL, shape=shape, dtype=dtype_of(mask)
    )
    return _Padding(mask=whole, pads=pads)


def _pad(graph: Graph, tokens: onnx_ir.Value, pads: onnx_ir.Value) -> onnx_ir.Value:
    """`tokens`, (batch, tokens, hidden), with zeros behind them, in 8 bits where they are dequantized."""
    batch, _, hidden = shape_of(tokens)
    shape: list[Size] = [batch, KEYS, hidden]
    dequantize = tokens.producer()
    insertion = Insertion.after(graph, tokens, dtype=dtype_of(tokens))
    if dequantize is None or not is_operator(dequantize, "DequantizeLinear"):
        zero = insertion.constant(np.zeros((), dtype=dtype_of(tokens).numpy()))
        return insertion.add("Pad", [tokens, pads, zero, insertion.sizes(1)], label=_LABEL, shape=shape)
    quantized, scale = dequantize.inputs[:2]
    assert quantized is not None
    zero_point = dequantize.inputs[2] if len(dequantize.inputs) > 2 else None
    if zero_point is None:
        zero_point = insertion.constant(np.zeros((), dtype=dtype_of(quantized).numpy()))
    whole = insertion.add(
        "Pad",
        [quantized, pads, zero_point, insertion.sizes(1)],
        label=_LABEL,
        shape=shape,
        dtype=dtype_of(quantized),
    )
    return insertion.add("DequantizeLinear", [whole, scale, zero_point], label=_LABEL, shape=shape)


def _grow(value: onnx_ir.Value, axis: int) -> None:
    sizes: list[Size] = list(shape_of(value))
    sizes[axis] = KEYS
    value.shape = onnx_ir.Shape(sizes)
