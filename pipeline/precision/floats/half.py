"""A float32 graph in float16: initializers stored so, and casts around what has to stay in float32."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.errors import StageError
from pipeline.graph.builder import constant, drop_if_unused
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator
from pipeline.precision.layers import linear
from pipeline.precision.layers.choose import named

LARGEST = 65504.0
"""The largest finite half-precision number."""

_FLOAT, _HALF = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16
# Sums over many values, and an epsilon of 1e-12 that fp16 does not have
_SUMMING = frozenset(
    "LayerNormalization SkipLayerNormalization EmbedLayerNormalization Softmax LogSoftmax "
    "ReduceSum ReduceMean ReduceL2 Pow Sqrt".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """How many nodes now compute in fp16, and how many weights that were not zero became so, out of how many."""

    nodes: int
    underflowed: int
    weights: int

    @property
    def note(self) -> str:
        """What a reader should know of the weights that were lost."""
        return f"{self.underflowed} of {self.weights} weights are smaller than fp16 can hold (3e-8) and count as 0."


def kept_in_float32(graph: Graph, exclude: Sequence[str]) -> frozenset[onnx_ir.Node]:
    """Nodes that stay in float32: those that sum up, and the linear layers that `exclude` names.

    Raises UsageError where `exclude` names no linear layer.
    """
    linears = linear.find(graph)
    left_out = named(exclude, [each.module for each in linears])
    return frozenset(
        [
            *(node for node in graph.graph if node.op_type in _SUMMING),
            *(each.node for each in linears if each.module in left_out),
        ]
    )


def activations(graph: Graph, kept: frozenset[onnx_ir.Node]) -> tuple[onnx_ir.Value, ...]:
    """Every computed float that is fp16 after `convert`, whether a node computes it so or a cast makes it so.

    What DequantizeLinear gives back is left out: it is no larger than the weight or the value that was quantized.
    """
    return tuple(
        value
        for node in graph.graph
        if not is_operator(node, "DequantizeLinear")
        for value in node.outputs
        if value.dtype == _FLOAT and (node not in kept or any(use.node not in kept for use in value.uses()))
    )


def convert(graph: Graph, kept: frozenset[onnx_ir.Node]) -> Converted:
    """Let every node but `kept` compute in fp16, in place; the graph's inputs and outputs keep their types.

    Raises StageError for a weight that fp16 cannot hold, naming it.
    """
    conversion = _Conversion(graph, kept)
    nodes = tuple(graph.graph)
    for node in nodes:
        conversion.read(node)
    computing = [node for node in nodes if node not in kept and conversion.retype(node)]
    for index, value in enumerate(graph.graph.outputs):
        if value.dtype == _HALF:
            _restore_output(graph, index)
    return Converted(nodes=len(computing), underflowed=conversion.underflowed, weights=conversion.weights)


class _Conversion:
    """One value in the other precision at most once, whether stored or cast."""

    def __init__(self, graph: Graph, kept: frozenset[onnx_ir.Node]) -> None:
        self._graph = graph
        self._kept = kept
        self._others: dict[onnx_ir.Value, onnx_ir.Value] = {}
        self.underflowed = 0
        self.weights = 0

    def read(self, node: onnx_ir.Node) -> None:
        """Let `node` read each of its float inputs in the precision that it computes in."""
        wanted = _FLOAT if node in self._kept else _HALF
        for index, value in enumerate(node.inputs):
            if value is None or value.dtype != _FLOAT or self._precision(value) == wanted:
                continue
            if value not in self._others:
                stored = value.is_initializer()
                self._others[value] = self._stored(value) if stored else self._cast(value, wanted)
            node.replace_input_with(index, self._others[value])
            if value.is_initializer():
                drop_if_unused(self._graph, value)

    def retype(self, node: onnx_ir.Node) -> bool:
        """Say of the float outputs of `node` that they are fp16 now; whether there were any."""
        if is_operator(node, "Cast") and node.attributes.get_int("to", 0) == _FLOAT:
            node.attributes["to"] = onnx_ir.AttrInt64("to", int(_HALF))
        floats = [value for value in node.outputs if value.dtype == _FLOAT]
        for value in floats:
            value.dtype = _HALF
        return bool(floats)

    def _precision(self, value: onnx_ir.Value) -> onnx_ir.DataType:
        """What `value` is computed or stored in, once all is done."""
        producer = value.producer()
        return _FLOAT if producer is None or producer in self._kept else _HALF

    def _stored(self, value: onnx_ir.Value) -> onnx_ir.Value:
        array = array_of(value)
        assert array is not None
        largest = np.abs(array).max(initial=0.0)
        if not largest <= LARGEST:
            raise StageError(
                "quantize",
                f"{value.name} holds {largest}, and fp16 reaches to {LARGEST:.0f}",
                hint=f"keep its module in float32: exclude = ['{str(value.name).rpartition('.')[0]}']",
            )
        halved = array.astype(np.float16)
        self.weights += array.size
        self.underflowed += int(np.count_nonzero((halved == 0) & (array != 0)))
        return constant(self._graph, f"{value.name}_fp16", halved)

    def _cast(self, value: onnx_ir.Value, wanted: onnx_ir.DataType) -> onnx_ir.Value:
        """`value` in `wanted`, by a node right after the one that makes it."""
        name = f"{value.name}_fp16" if wanted == _HALF else f"{value.name}_fp32"
        cast = onnx_ir.node("Cast", [value], {"to": int(wanted)}, name=name.replace("_output_0", "/Cast"))
        (output,) = cast.outputs
        output.name, output.dtype, output.shape = name, wanted, value.shape
        producer = value.producer()
        if producer is None:
            self._graph.graph.insert_before(self._graph.graph[0], cast)
        else:
            self._graph.graph.insert_after(producer, cast)
        return output


def _restore_output(graph: Graph, index: int) -> None:
    """Cast an output of the graph back to float32, under its name."""
    value = graph.graph.outputs[index]
    assert value.name is not None
    producer = value.producer()
    assert producer is not None
    name = value.name
    value.name = f"{producer.name}_output_{value.index()}"
    cast = onnx_ir.node("Cast", [value], {"to": int(_FLOAT)}, name=f"{producer.name}/Cast")
    (output,) = cast.outputs
    output.name, output.dtype, output.shape = name, _FLOAT, value.shape
    graph.graph.insert_after(producer, cast)
    graph.graph.outputs[index] = output
