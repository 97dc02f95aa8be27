"""Hidden states as (batch * tokens, hidden) wherever no operator looks at more than one token."""

import numpy as np
import onnx_ir

from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import MICROSOFT, constant, describe, tidy

_NORMS = {"LayerNormalization", "SkipLayerNormalization"}
# Operators that treat each element, or each row of the last axis, by itself
_BY_ELEMENT = {"Gelu", "Relu", "Tanh", "Erf", "Sigmoid", "BiasGelu", "FastGelu", "SkipLayerNormalization"}
_BROADCASTING = {"Add", "Sub", "Mul", "Div"}
_PRODUCTS = {"MatMul", "FusedMatMul"}
_LAST = -1


@fusion(
    "flatten_tokens",
    after=(
        "attention_scale",
        "first_token",
        "single_query",
        "packed_qkv",
        "attention_mha",
        "attention_mha_flash",
        "attention_onnx",
        "skip_layer_norm",
        "bias_gelu",
        "embeddings",
        "transposes",
        "constants",
    ),
    per_layer=2,
)
def flatten_tokens(graph: Graph) -> Applied:
    """Hidden states with two axes between attentions; counts the layer norms that then see two.

    ONNX Runtime's SkipLayerNormFusion asks for three axes, so a session with default settings leaves Add and
    LayerNormalization apart (its SkipLayerNormalization was measured to be the slower), and turns MatMul and Add into
    Gemm, which exists for two axes only.
    """
    reasons = {node: _reason(node) for node in graph.graph}
    region = [node for node, reason in reasons.items() if reason is None]
    flattening = _Flattening(graph, frozenset(region))
    for node in region:
        flattening.enter(node)
    for node in region:
        flattening.leave(node)
    flattening.describe()
    if region:
        tidy(graph)
    return Applied(
        rewrites=sum(node.op_type in _NORMS for node in region),
        refusals=tuple(
            f"{node.name}: {reason}" for node, reason in reasons.items() if reason and node.op_type in _NORMS
        ),
    )


class _Flattening:
    """Puts reshapes where values enter and leave the region of nodes that treat each token by itself."""

    def __init__(self, graph: Graph, region: frozenset[onnx_ir.Node]) -> None:
        self._graph = graph
        self._region = region
        self._flat: dict[onnx_ir.Value, onnx_ir.Value] = {}
        self._outputs = [value for node in graph.graph if node in region for value in node.outputs]
        self._entered: dict[tuple[object, ...], onnx_ir.Value] = {}
        self._sizes_of: dict[tuple[object, ...], onnx_ir.Value] = {}

    def enter(self, node: onnx_ir.Node) -> None:
        """Give `node` the flat form of each input with three axes that comes from outside."""
        for index, value in enumerate(node.inputs):
            if value is None or _axes(value) != 3 or value.producer() in self._region:
                continue
            if value not in self._flat:
                self._flat[value] = self._reshaped(value)
            node.replace_input_with(index, self._flat[value])

    def leave(self, node: onnx_ir.Node) -> None:
        """Give readers outside the region the outputs of `node` with their three axes."""
        for value in node.outputs:
            outside = [(user, index) for user, index in value.uses() if user not in self._region]
            # A reshape that names every size reads a flat value just as well
            rest = [(user, index) for user, index in outside if not _names_every_size(user, index)]
            if not rest and not value.is_graph_output():
                continue
            restored = self._restored(value)
            for user, index in rest:
                user.replace_input_with(index, restored)

    def describe(self) -> None:
        """Give the region's outputs their new shapes."""
        for value in self._outputs:
            value.shape = onnx_ir.Shape(_flat_shape(value))

    def _reshaped(self, value: onnx_ir.Value) -> onnx_ir.Value:
        assert value.shape is not None
        producer = value.producer()
        # Of two reshapes in a row the second alone does the same
        source = producer.inputs[0] if producer is not None and producer.op_type == "Reshape" else value
        sizes = constant(self._graph, np.array([-1, value.shape[_LAST]], dtype=np.int64))
        node = onnx_ir.node("Reshape", [source, sizes], name=f"{_base(value)}/Reshape_flat")
        describe(node.outputs[0], _flat_shape(value), value.dtype)
        self._insert_after(value, node)
        self._entered.setdefault(tuple(value.shape[:2]), value)
        return node.outputs[0]

    def _restored(self, value: onnx_ir.Value) -> onnx_ir.Value:
        assert value.shape is not None
        producer = value.producer()
        assert producer is not None
        node = onnx_ir.node(
            "Reshape", [value, self._sizes(value.shape)], name=f"{_base(value)}/Reshape_tokens"
        )
        restored = describe(node.outputs[0], value.shape, value.dtype)
        self._insert_after(value, node)
        if value.is_graph_output():
            outputs = self._graph.graph.outputs
            outputs[outputs.index(value)] = restored
            value.name, restored.name = f"{producer.name}_output_{value.index()}", value.name
        return restored

    def _sizes(self, shape: onnx_ir.Shape) -> onnx_ir.Value:
        """`shape` as a value: the axes of what entered the region, and the channels."""
        key = tuple(shape)
        if key not in self._sizes_of:
            source = self._entered[key[:2]]
            last = constant(self._graph, np.array([shape[_LAST]], dtype=np.int64))
            axes = onnx_ir.node(
                "Shape", [source], {"start": 0, "end": 2}, name=f"{_base(source)}/Shape_tokens"
            )
            sizes = onnx_ir.node(
                "Concat", [axes.outputs[0], last], {"axis": 0}, name=f"{_base(source)}/Concat_tokens"
            )
            describe(axes.outputs[0], [2], onnx_ir.DataType.INT64)
            self._sizes_of[key] = describe(sizes.outputs[0], [3], onnx_ir.DataType.INT64)
            self._insert_after(source, axes, sizes)
        return self._sizes_of[key]

    def _insert_after(self, value: onnx_ir.Value, *nodes: onnx_ir.Node) -> None:
        producer = value.producer()
        if producer is None:
            self._graph.graph.insert_before(self._graph.graph[0], nodes)
        else:
            self._graph.graph.insert_after(producer, nodes)


def _reason(node: onnx_ir.Node) -> str | None:
    """Why `node` does not treat each token of (batch, tokens, channels) by itself; None where it does."""
    out = node.outputs[0]
    if (
        _axes(out) != 3
        or out.shape is None
        or not all(isinstance(each.shape[_LAST], int) for each in node.outputs if each.shape)
    ):
        return f"its output has shape {out.shape}, must be (batch, tokens, channels)"
    activations = [value for value in node.inputs if value is not None and _axes(value) == 3]
    if not activations or any(tuple(value.shape or ())[:2] != tuple(out.shape[:2]) for value in activations):
        return f"its inputs do not have the axes {out.shape[:2]}"
    others = [value for value in node.inputs if value is not None and _axes(value) != 3]
    if node.op_type in _PRODUCTS:
        fits = activations == [node.inputs[0]] and all(_axes(value) == 2 for value in others)
        fits = fits and not node.attributes.get_int("transA", 0)
    elif node.op_type == "LayerNormalization":
        fits = node.attributes.get_int("axis", _LAST) == _LAST and activations == [node.inputs[0]]
    elif node.op_type == "Split":
        fits = node.attributes.get_int("axis", 0) == _LAST
    elif node.op_type in _BROADCASTING:
        fits = all((_axes(value) or 0) <= 1 for value in others)
    else:
        fits = node.op_type in _BY_ELEMENT and node.domain in ("", MICROSOFT)
    return None if fits else f"{node.op_type} here mixes tokens, or is not known not to"


def _names_every_size(user: onnx_ir.Node, index: int) -> bool:
    """Whether `user` is a reshape to sizes that do not refer to its input's axes."""
    if user.op_type != "Reshape" or index != 0:
        return False
    sizes = user.inputs[1]
    if sizes is None:
        return False
    if sizes.const_value is not None:
        return bool((sizes.const_value.numpy() > 0).all())
    return user.attributes.get_int("allowzero", 0) == 1


def _flat_shape(value: onnx_ir.Value) -> list[int | onnx_ir.SymbolicDim]:
    assert value.shape is not None
    batch, tokens, channels = value.shape
    if isinstance(batch, int) and isinstance(tokens, int):
        return [batch * tokens, channels]
    names = [
        str(size.value) if isinstance(size, onnx_ir.SymbolicDim) else str(size) for size in (batch, tokens)
    ]
    return [onnx_ir.SymbolicDim("*".join(names)), channels]


def _axes(value: onnx_ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def _base(value: onnx_ir.Value) -> str:
    producer = value.producer()
    return "graph" if producer is None or producer.name is None else producer.name.rpartition("/")[0]
