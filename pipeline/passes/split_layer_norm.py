"""A layer norm of its own for what is quantized, where an engine can compute it with what reads it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.graph.builder import Insertion, attributes_of
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator, other_input, producer, shape_of, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import tidy
from pipeline.passes.refusal import RefusalError, rewrite_each

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Normalized:
    """What a QuantizeLinear reads of a layer norm that something else reads too."""

    norm: onnx_ir.Node
    """The LayerNormalization."""

    factor: onnx_ir.Value | None
    """What smoothing multiplies its output by; None where the layer is not smoothed."""


@graph_pass("split_layer_norm", after=("flatten_tokens", "single_query", "constants", "integer_matmul"))
def split_layer_norm(graph: Graph) -> PassResult:
    """What quantizes the output of a layer norm gets a layer norm of its own, with the scale in its weights.

    OpenVINO normalizes once for both, and applies the weights of each where they are read: with quantization, and with
    the residual sum. What both read would be a step of its own, and so would quantization.
    """
    found = {
        node: normalized
        for node in graph.graph
        if is_operator(node, "QuantizeLinear") and (normalized := _normalized(node)) is not None
    }
    result = rewrite_each(found, lambda node: _split(graph, node, found[node]))
    if result.rewrites:
        tidy(graph)
    return result


def _normalized(quantize: onnx_ir.Node) -> _Normalized | None:
    """What `quantize` reads; None where it is no layer norm, or one that nothing else reads."""
    node, factor, reader = producer(quantize, 0), None, quantize
    if node is not None and is_operator(node, "Mul"):
        norm = next((found for index in (0, 1) if (found := _norm(node, index)) is not None), None)
        if norm is None or sole_reader(node.outputs[0]) is not quantize:
            return None
        node, factor, reader = norm, other_input(node, norm.outputs[0]), node
    if node is None or not is_operator(node, "LayerNormalization") or sole_reader(node.outputs[0]) is reader:
        return None
    return _Normalized(norm=node, factor=factor)


def _norm(node: onnx_ir.Node, index: int) -> onnx_ir.Node | None:
    norm = producer(node, index)
    return norm if norm is not None and is_operator(norm, "LayerNormalization") else None


def _split(graph: Graph, quantize: onnx_ir.Node, read: _Normalized) -> None:
    scale = _floats(quantize.inputs[1], "its scale")
    if scale.size != 1:
        raise RefusalError("it has more than one scale", quantize.inputs[1])
    factor = np.float32(1.0) if read.factor is None else _floats(read.factor, "its factor")
    x, *parameters = read.norm.inputs
    scaled = []
    for parameter in parameters:
        array = _floats(parameter, "a parameter of its layer norm")
        scaled.append(array * factor / scale)
        if scaled[-1].shape != array.shape:
            raise RefusalError("its factor is not one for each channel", read.factor)
    insertion = Insertion.before(graph, quantize)
    steps = insertion.add(
        "LayerNormalization",
        [x, *map(insertion.constant, scaled)],
        attributes=attributes_of(read.norm),
        label="steps",
        shape=shape_of(read.norm.outputs[0]),
    )
    quantize.replace_input_with(0, steps)
    quantize.replace_input_with(1, insertion.constant(np.ones_like(scale)))


def _floats(value: onnx_ir.Value | None, what: str) -> Floats:
    array = array_of(value)
    if array is None or array.dtype != np.float32:
        raise RefusalError(f"{what} is not a constant in float32", value)
    return array.astype(np.float32, copy=False)
