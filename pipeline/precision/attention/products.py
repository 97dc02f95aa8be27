"""Finding the two matrix products of attention, q k^T and softmax(..) v, and what they read."""

from dataclasses import dataclass

import onnx_ir

from pipeline.errors import ContractError
from pipeline.graph.file import Graph
from pipeline.graph.values import is_operator, producer, sole_reader
from pipeline.passes.refusal import RefusalError

# These operators move numbers without changing them, so they can move 8-bit ones.
_MOVES = ("Reshape", "Transpose")
# One operator for a whole attention: its products are inside
_FUSED = ("MultiHeadAttention", "Attention")
_HINT = "leave quantize_attention out of the plan, or the passes that write attention as one operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One input of a product."""

    kind: str
    """query, key, value or weights."""
    product: onnx_ir.Node
    """The MatMul."""
    index: int
    """Which input of the MatMul it is."""
    source: onnx_ir.Value
    """The output of a projection or of the softmax."""
    moves: tuple[onnx_ir.Node, ...] = ()
    """The nodes that reshape and transpose `source`, the first one first."""

    @property
    def read(self) -> onnx_ir.Value:
        """The value that the product reads: `source` after its moves."""
        value = self.product.inputs[self.index]
        assert value is not None
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """The operands of one layer's two products: query and key, then weights and value."""

    module: str
    """Hugging Face's name of the attention."""
    query: Operand
    """First operand of q k^T."""
    key: Operand
    """Second operand of q k^T."""
    value: Operand
    """Second operand of softmax(..) v."""
    weights: Operand
    """First operand of softmax(..) v: the output of the softmax."""

    @property
    def activations(self) -> tuple[onnx_ir.Value, ...]:
        """Values that need a calibrated range; the output of a softmax always lies between 0 and 1."""
        return self.query.source, self.key.source, self.value.source


def find(graph: Graph, layers: int) -> tuple[Attention, ...]:
    """Every attention in the graph. Raises ContractError where there are fewer than `layers`, or none.

    Attention that the pass single_query rewrote is skipped and not expected: its products are small, and they read
    hidden states instead of projections.
    """
    attentions, refusals = [], []
    before: list[str] = []
    expected = max(layers, 1)
    for node in graph.graph:
        if node.op_type in _FUSED:
            refusals.append(f"{node.name} is one {node.op_type}, whose products cannot be quantized")
        if not is_operator(node, "Softmax"):
            continue
        if _averages_hidden_states(node):
            expected -= 1
            continue
        try:
            attentions.append(_attention(node))
        except RefusalError as refusal:
            refusals.append(f"{node.name}: {refusal}")
            before += refusal.before
    if len(attentions) < expected:
        raise ContractError(
            "int8_attention", len(attentions), expected, refusals, before=before, stage="quantize", hint=_HINT
        )
    return tuple(attentions)


def _averages_hidden_states(softmax: onnx_ir.Node) -> bool:
    """Whether the weights of every head multiply the same hidden states, as single_query writes it."""
    squeeze = sole_reader(softmax.outputs[0])
    if squeeze is None or not is_operator(squeeze, "Squeeze"):
        return False
    average = sole_reader(squeeze.outputs[0])
    return average is not None and is_operator(average, "MatMul") and average.inputs[0] is squeeze.outputs[0]


def _attention(softmax: onnx_ir.Node) -> Attention:
    """The attention around `softmax`; RefusalError where it cannot be quantized."""
    weights = softmax.outputs[0]
    context = sole_reader(weights)
    masked = producer(softmax, 0)
    if context is None or not is_operator(context, "MatMul") or context.inputs[0] is not weights:
        raise RefusalError("a matrix product must be the only reader of its output")
    if masked is None or not is_operator(masked, "Add"):
        raise RefusalError("no mask is added before it")
    scores = next(
        (node for index in (0, 1) if (node := producer(masked, index)) and is_operator(node, "MatMul")), None
    )
    if scores is None:
        raise RefusalError("the mask is not added to a matrix product")
    return Attention(
        module=str(softmax.name).rpartition("/")[0],
        query=_operand("query", scores, 0),
        key=_operand("key", scores, 1),
        value=_operand("value", context, 1),
        weights=Operand(kind="weights", product=context, index=0, source=weights),
    )


def _operand(kind: str, product: onnx_ir.Node, index: int) -> Operand:
    """Input `index` of `product`; RefusalError where it cannot be quantized."""
    value = product.inputs[index]
    moves: list[onnx_ir.Node] = []
    node = None if value is None else value.producer()
    while value is not None and node is not None and is_operator(node, *_MOVES):
        if sole_reader(value) is None:
            raise RefusalError(f"{value.name} has several readers")
        moves.insert(0, node)
        value = node.inputs[0]
        node = None if value is None else value.producer()
    if value is None or node is None:
        raise RefusalError(f"{value.name if value else 'an input left out'} is not computed")
    if is_operator(node, "Div"):
        raise RefusalError(f"{node.name} divides an input of {product.name}", before="attention_scale")
    if not moves or not is_operator(node, "Add"):
        raise RefusalError(
            f"input {index} of {product.name} is not the output of a projection, reshaped and transposed"
        )
    return Operand(kind=kind, product=product, index=index, source=value, moves=tuple(moves))
