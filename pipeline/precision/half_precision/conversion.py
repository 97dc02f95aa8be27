"""Converting a float32 graph to fp16: weights are stored in it, and casts surround the nodes that stay in float32."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir
from onnx_ir.passes import common

from pipeline.errors import StageError
from pipeline.graph.builder import constant, drop_if_unused
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator, other_input, sole_reader
from pipeline.precision.layers import linear as linear_layers
from pipeline.precision.layers import tables as embedding_tables
from pipeline.precision.layers.choose import modules, named

LARGEST = 65504.0
"""The largest finite fp16 number."""

_FLOAT, _HALF = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16
# Sums over many values, and an epsilon of 1e-12 that fp16 would round to zero.
_FLOAT32_OPERATORS = frozenset(
    "LayerNormalization SkipLayerNormalization EmbedLayerNormalization Softmax LogSoftmax "
    "ReduceSum ReduceMean ReduceL2 Pow Sqrt".split()
)
STRICT_SUMS = "provider.enable_skip_layer_norm_strict_mode"
"""The setting with which the CUDA provider's SkipLayerNormalization in fp16 sums in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a conversion changed."""

    nodes: int
    """Nodes that now compute in fp16."""
    underflowed: int
    """Weights that were not zero and became zero."""
    weights: int
    """Weights that were converted."""

    @property
    def note(self) -> str:
        """The note about weights that became zero."""
        return f"{self.underflowed} of {self.weights} weights are smaller than fp16 can hold (3e-8) and count as 0."


def prepare(graph: Graph) -> None:
    """Make initializers of constants that are nodes, as other exporters write them, so that they are converted.

    Raises StageError for a node with branches, which read values that are not among its inputs, and for a value whose
    type is not known.
    """
    for node in graph.graph:
        if any(attribute.type == onnx_ir.AttributeType.GRAPH for attribute in node.attributes.values()):
            raise StageError(
                "quantize",
                f"{node.name} has branches ({node.op_type}), which are not converted to fp16",
                hint="leave out the pass that writes it, as mask_where_needed does, or give a graph without branches",
            )
        for value in node.outputs:
            if value.name and value.dtype is None:
                raise StageError(
                    "quantize",
                    f"the type of {value.name} is not known, because ONNX cannot infer what {node.name} "
                    f"({node.domain or 'ai.onnx'}.{node.op_type}) computes",
                    hint="give the graph as it was before a tool wrote that operator: `distilforge export` writes one",
                )
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)


def float32_nodes(
    graph: Graph, exclude: Sequence[str], session: Mapping[str, str]
) -> frozenset[onnx_ir.Node]:
    """Nodes that stay in float32: those that sum many values, and those of the modules that `exclude` names.

    With STRICT_SUMS in `session`, the kernel of SkipLayerNormalization itself sums in float32, and needs no casts.
    Raises UsageError where a pattern names no linear layer and no embedding table.
    """
    operators = _FLOAT32_OPERATORS - (
        {"SkipLayerNormalization"} if session.get(STRICT_SUMS) == "1" else set()
    )
    excluded = named(exclude, modules(graph))
    linears = [linear for linear in linear_layers.find(graph) if linear.module in excluded]
    return frozenset(
        [
            *(node for node in graph.graph if node.op_type in operators),
            *(node for linear in linears for node in (linear.node, *_bias_sum(linear.node))),
            *(table.node for table in embedding_tables.find(graph) if table.module in excluded),
        ]
    )


def _bias_sum(product: onnx_ir.Node) -> tuple[onnx_ir.Node, ...]:
    """The node that adds a bias to a matrix product, if there is one."""
    added = sole_reader(product.outputs[0])
    if added is None or not is_operator(added, "Add"):
        return ()
    bias = other_input(added, product.outputs[0])
    return (added,) if bias is not None and bias.is_initializer() else ()


def half_activations(graph: Graph, float32_nodes: frozenset[onnx_ir.Node]) -> tuple[onnx_ir.Value, ...]:
    """Every computed float that `convert` makes fp16: a node computes it in fp16, or a cast converts it.

    Outputs of DequantizeLinear are left out: they are no larger than the weight or the value that was quantized.
    """
    return tuple(
        value
        for node in graph.graph
        if not is_operator(node, "DequantizeLinear")
        for value in node.outputs
        if value.dtype == _FLOAT
        and (node not in float32_nodes or any(use.node not in float32_nodes for use in value.uses()))
    )


def convert(graph: Graph, float32_nodes: frozenset[onnx_ir.Node]) -> Counts:
    """Let every node except `float32_nodes` compute in fp16, in place; the graph's inputs and outputs keep their types.

    Raises StageError for a weight that fp16 cannot hold, naming it.
    """
    conversion = _Conversion(graph, float32_nodes)
    nodes = tuple(graph.graph)
    for node in nodes:
        conversion.convert_inputs(node)
    half_nodes = [node for node in nodes if node not in float32_nodes and _convert_outputs(node)]
    for index, value in enumerate(graph.graph.outputs):
        if value.dtype == _HALF:
            _restore_output(graph, index)
    return Counts(nodes=len(half_nodes), underflowed=conversion.underflowed, weights=conversion.weights)


class _Conversion:
    """Converts the inputs of nodes, each value at most once, and counts the weights."""

    def __init__(self, graph: Graph, float32_nodes: frozenset[onnx_ir.Node]) -> None:
        self._graph = graph
        self._float32_nodes = float32_nodes
        self._converted: dict[onnx_ir.Value, onnx_ir.Value] = {}
        self.underflowed = 0
        self.weights = 0

    def convert_inputs(self, node: onnx_ir.Node) -> None:
        """Let `node` read each of its float inputs in the precision that it computes in."""
        wanted = _FLOAT if node in self._float32_nodes else _HALF
        for index, value in enumerate(node.inputs):
            if value is None or value.dtype != _FLOAT or self._later_dtype(value) == wanted:
                continue
            if value not in self._converted:
                is_weight = value.is_initializer()
                self._converted[value] = self._half_weight(value) if is_weight else self._cast(value, wanted)
            node.replace_input_with(index, self._converted[value])
            if value.is_initializer():
                drop_if_unused(self._graph, value)

    def _later_dtype(self, value: onnx_ir.Value) -> onnx_ir.DataType:
        """The type of `value` after the conversion."""
        producer = value.producer()
        return _FLOAT if producer is None or producer in self._float32_nodes else _HALF

    def _half_weight(self, value: onnx_ir.Value) -> onnx_ir.Value:
        array = array_of(value)
        assert array is not None
        largest = np.abs(array).max(initial=0.0)
        if not largest <= LARGEST:
            raise StageError(
                "quantize",
                f"{value.name} holds {largest}, and the largest fp16 number is {LARGEST:.0f}",
                hint=_way_out(str(value.name)),
            )
        halves = array.astype(np.float16)
        self.weights += array.size
        self.underflowed += int(np.count_nonzero((halves == 0) & (array != 0)))
        return constant(self._graph, f"{value.name}_fp16", halves)

    def _cast(self, value: onnx_ir.Value, dtype: onnx_ir.DataType) -> onnx_ir.Value:
        """`value` in `dtype`, by a node right after the one that computes it."""
        name = f"{value.name}_fp16" if dtype == _HALF else f"{value.name}_fp32"
        return _cast(self._graph, value, dtype, name=name.replace("_output_0", "/Cast"), output=name)


def _way_out(name: str) -> str:
    """What to do about the weight or constant `name`, which is too large for fp16."""
    module, _, parameter = name.rpartition(".")
    if parameter in ("weight", "bias"):
        return f"keep its module in float32: exclude {module!r}"
    return "give the graph that `distilforge export` writes: its constants, such as the score of a masked token, fit"


def _convert_outputs(node: onnx_ir.Node) -> bool:
    """Mark the float outputs of `node` as fp16, and return whether there are any."""
    if is_operator(node, "Cast") and node.attributes.get_int("to", 0) == _FLOAT:
        node.attributes["to"] = onnx_ir.AttrInt64("to", int(_HALF))
    floats = [value for value in node.outputs if value.dtype == _FLOAT]
    if floats and is_operator(node, "ConstantOfShape"):
        content = node.attributes["value"].as_tensor().numpy() if "value" in node.attributes else np.zeros(1)
        node.attributes["value"] = onnx_ir.AttrTensor("value", onnx_ir.tensor(content.astype(np.float16)))
    for value in floats:
        value.dtype = _HALF
    return bool(floats)


def _restore_output(graph: Graph, index: int) -> None:
    """Cast an output of the graph back to float32, under its name."""
    value = graph.graph.outputs[index]
    producer, name = value.producer(), value.name
    assert producer is not None
    assert name is not None
    value.name = f"{producer.name}_output_{value.index()}"
    graph.graph.outputs[index] = _cast(graph, value, _FLOAT, name=f"{producer.name}/Cast", output=name)


def _cast(
    graph: Graph, value: onnx_ir.Value, dtype: onnx_ir.DataType, *, name: str, output: str
) -> onnx_ir.Value:
    """The output, called `output`, of a new Cast called `name`, right after the node that computes `value`."""
    cast = onnx_ir.node("Cast", [value], {"to": int(dtype)}, name=name)
    (result,) = cast.outputs
    result.name, result.dtype, result.shape = output, dtype, value.shape
    producer = value.producer()
    if producer is None:
        graph.graph.insert_before(graph.graph[0], cast)
    else:
        graph.graph.insert_after(producer, cast)
    return result
