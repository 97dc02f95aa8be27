"""Hidden states as (batch * tokens, hidden) wherever no operator combines tokens."""

import onnx_ir

from pipeline.graph.builder import Insertion, Size
from pipeline.graph.file import Graph
from pipeline.graph.values import dtype_of, node_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.elementwise import BROADCASTING, UNARY
from pipeline.passes.matching.rewriting import MICROSOFT, tidy
from pipeline.passes.refusal import RefusalError

_NORMS = {"LayerNormalization", "SkipLayerNormalization"}
# Operators that compute each element, or each row of the last axis, from that element or row alone
_BY_ELEMENT = UNARY | {"BiasGelu", "FastGelu", "SkipLayerNormalization"}
_PRODUCTS = {"MatMul", "FusedMatMul"}
_LAST = -1


@graph_pass(
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
def flatten_tokens(graph: Graph) -> PassResult:
    """Hidden states with two axes between attentions; counts the layer norms whose input then has two.

    ONNX Runtime's SkipLayerNormFusion asks for three axes. With two, a session with default settings leaves Add and
    LayerNormalization separate (its SkipLayerNormalization was measured to be slower) and turns MatMul and Add into
    Gemm, which exists for two axes only.
    """
    region: list[onnx_ir.Node] = []
    refusals: list[str] = []
    for node in graph.graph:
        try:
            _check(node)
        except RefusalError as refusal:
            if node.op_type in _NORMS:
                refusals.append(f"{node.name}: {refusal}")
        else:
            region.append(node)
    flattening = _Flattening(graph, frozenset(region))
    for node in region:
        flattening.enter(node)
    for node in region:
        flattening.leave(node)
    flattening.set_shapes()
    if region:
        tidy(graph)
    return PassResult(rewrites=sum(node.op_type in _NORMS for node in region), refusals=tuple(refusals))


class _Flattening:
    """Puts reshapes where values enter and leave the region of nodes that compute each token separately."""

    def __init__(self, graph: Graph, region: frozenset[onnx_ir.Node]) -> None:
        self._graph = graph
        self._region = region
        self._outputs = [value for node in graph.graph if node in region for value in node.outputs]
        self._flat: dict[onnx_ir.Value, onnx_ir.Value] = {}
        """The flat form of each value that enters the region."""
        self._entered: dict[tuple[Size, ...], onnx_ir.Value] = {}
        """For each (batch, tokens), a value with these axes that enters the region."""
        self._sizes: dict[tuple[Size, ...], onnx_ir.Value] = {}
        """Shapes as values of the graph."""

    def enter(self, node: onnx_ir.Node) -> None:
        """Give `node` the flat form of each input with three axes that comes from outside."""
        for index, value in enumerate(node.inputs):
            if value is None or _rank(value) != 3 or value.producer() in self._region:
                continue
            if value not in self._flat:
                self._flat[value] = self._flattened(value)
            node.replace_input_with(index, self._flat[value])

    def leave(self, node: onnx_ir.Node) -> None:
        """Give readers outside the region the outputs of `node` with their three axes."""
        for value in node.outputs:
            outside = [(user, index) for user, index in value.uses() if user not in self._region]
            # A reshape to sizes that are all named reads a flat value just as well
            readers = [(user, index) for user, index in outside if not _names_every_size(user, index)]
            if not readers and not value.is_graph_output():
                continue
            restored = self._restored(value)
            for user, index in readers:
                user.replace_input_with(index, restored)

    def set_shapes(self) -> None:
        """Give the region's outputs their new shapes."""
        for value in self._outputs:
            value.shape = onnx_ir.Shape(_flat_shape(value))

    def _flattened(self, value: onnx_ir.Value) -> onnx_ir.Value:
        producer = value.producer()
        # Of two consecutive reshapes, the second alone does the same
        source = producer.inputs[0] if producer is not None and producer.op_type == "Reshape" else value
        channels = shape_of(value)[_LAST]
        assert isinstance(channels, int)
        insertion = self._after(value, dtype_of(value))
        flat = insertion.add(
            "Reshape", [source, insertion.sizes(-1, channels)], label="flat", shape=_flat_shape(value)
        )
        self._entered.setdefault(tuple(shape_of(value)[:2]), value)
        return flat

    def _restored(self, value: onnx_ir.Value) -> onnx_ir.Value:
        """`value` with its three axes, which takes its place among the graph's outputs."""
        sizes = self._sizes_of(shape_of(value))
        insertion = self._after(value, dtype_of(value))
        restored = insertion.add("Reshape", [value, sizes], label="tokens", shape=shape_of(value))
        if value.is_graph_output():
            outputs = self._graph.graph.outputs
            outputs[outputs.index(value)] = restored
            value.name, restored.name = f"{node_of(value).name}_output_{value.index()}", value.name
        return restored

    def _sizes_of(self, shape: onnx_ir.Shape) -> onnx_ir.Value:
        """`shape` as a value: the axes of a value that entered the region, and the channels."""
        key = tuple(shape)
        if key not in self._sizes:
            source = self._entered[key[:2]]
            channels = shape[_LAST]
            assert isinstance(channels, int)
            insertion = self._after(source, onnx_ir.DataType.INT64)
            last = insertion.sizes(channels)
            axes = insertion.add(
                "Shape", [source], attributes={"start": 0, "end": 2}, label="tokens", shape=[2]
            )
            self._sizes[key] = insertion.add(
                "Concat", [axes, last], attributes={"axis": 0}, label="tokens", shape=[3]
            )
        return self._sizes[key]

    def _after(self, value: onnx_ir.Value, dtype: onnx_ir.DataType) -> Insertion:
        # Several values of one module get the same names, which `tidy` numbers in the order of the graph
        return Insertion.after(self._graph, value, dtype=dtype, numbered=False)


def _check(node: onnx_ir.Node) -> None:
    """Raise RefusalError where `node` does not compute each token of (batch, tokens, channels) separately."""
    output = node.outputs[0]
    if output.shape is None or _rank(output) != 3:
        raise RefusalError(f"its output has shape {output.shape}, must be (batch, tokens, channels)")
    for value in node.outputs:
        if value.shape:
            _check_known(value)
    inputs = [value for value in node.inputs if value is not None]
    for value in inputs:
        _check_known(value)
    activations = [value for value in inputs if _rank(value) == 3]
    tokens = tuple(output.shape[:2])
    if not activations or any(tuple(shape_of(value)[:2]) != tokens for value in activations):
        raise RefusalError(f"its inputs do not have the axes {output.shape[:2]}")
    if not _keeps_tokens_apart(node, activations, [value for value in inputs if _rank(value) != 3]):
        raise RefusalError(f"{node.op_type} combines tokens here, or is not known not to")


def _check_known(value: onnx_ir.Value) -> None:
    """Raise RefusalError unless the shape of `value`, or its absence, says which axes are tokens and channels.

    Other exporters leave shapes out, and write axes without a name, of which no two need have the same size.
    """
    if value.shape is None:
        raise RefusalError(f"the shape of {value.name} is not known")
    if len(value.shape) != 3:
        return
    batch, tokens, channels = value.shape
    if not isinstance(channels, int) or any(
        isinstance(size, onnx_ir.SymbolicDim) and size.value is None for size in (batch, tokens)
    ):
        raise RefusalError(f"{value.name} has shape {value.shape}, must be (batch, tokens, channels)")


def _keeps_tokens_apart(
    node: onnx_ir.Node, activations: list[onnx_ir.Value], others: list[onnx_ir.Value]
) -> bool:
    """Whether `node` computes each token from that token alone; `activations` are its inputs with three axes."""
    if node.op_type in _PRODUCTS:
        by_weight = activations == [node.inputs[0]] and all(_rank(value) == 2 for value in others)
        return by_weight and not node.attributes.get_int("transA", 0)
    if node.op_type == "LayerNormalization":
        return node.attributes.get_int("axis", _LAST) == _LAST and activations == [node.inputs[0]]
    if node.op_type == "Split":
        return node.attributes.get_int("axis", 0) == _LAST
    if node.op_type in BROADCASTING | _BY_ELEMENT and node.domain in ("", MICROSOFT):
        return all(len(shape_of(value)) <= 1 for value in others)
    return False


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


def _flat_shape(value: onnx_ir.Value) -> list[Size]:
    batch, tokens, channels = shape_of(value)
    if isinstance(batch, int) and isinstance(tokens, int):
        return [batch * tokens, channels]
    names = [
        str(size.value) if isinstance(size, onnx_ir.SymbolicDim) else str(size) for size in (batch, tokens)
    ]
    return [onnx_ir.SymbolicDim("*".join(names)), channels]


def _rank(value: onnx_ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)
