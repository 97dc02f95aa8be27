"""A linear layer's bias and the GELU after it as one operator."""

from dataclasses import dataclass, replace

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator, node_of, producer, shape_of, sole_reader
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, rewrite
from pipeline.passes.refusal import RefusalError

# Batch, tokens and channels
_TOKEN_AXES = 3
# What reads the sum first where the activation is another one. A sigmoid may read a multiple of it (quick_gelu), and
# without an activation the next layer reads it itself
_OTHER_ACTIVATIONS = ("Clip", "LeakyRelu", "MatMul", "Mish", "Relu", "Sigmoid", "Sub", "Tanh")


@dataclass(frozen=True, slots=True, kw_only=True)
class _BiasGelu:
    """One match of the pattern."""

    x: onnx_ir.Value
    """The product without its bias, (.., channels)."""

    bias: onnx_ir.Value
    """(channels)."""

    output: onnx_ir.Value
    """GELU of the sum, of the shape of x."""


@graph_pass("bias_gelu", emits=frozenset({MICROSOFT}), per_layer=1)
def bias_gelu(graph: Graph) -> PassResult:
    """Add and Gelu as com.microsoft BiasGelu; the tanh approximation is another function and is refused.

    A DistilBERT has one activation, so that a model with another one than GELU does not have anything to rewrite.
    """
    result = rewrite(graph, _pattern, _BiasGelu, check=_check, build=_build)
    if result.rewrites:
        return result
    return replace(result, exempt=sum(_has_other_activation(node) for node in graph.graph))


def _pattern(op: Operators, x: onnx_ir.Value, bias: onnx_ir.Value) -> onnx_ir.Value:
    return op.Gelu(op.Add(x, bias), _outputs=["output"])


def _check(match: _BiasGelu) -> None:
    approximate = node_of(match.output).attributes.get_string("approximate", "none")
    if approximate != "none":
        raise RefusalError(f"GELU by its {approximate} approximation is another function", match.output)
    array = array_of(match.bias)
    if array is None or match.x.shape is None or array.shape != tuple(match.x.shape[-1:]):
        observed = "not constant" if array is None else f"of shape {array.shape}"
        raise RefusalError(
            f"the bias {match.bias.name} is {observed}, must be a constant with one number for each channel",
            match.output,
        )


def _build(match: _BiasGelu, builder: Builder) -> onnx_ir.Value:
    return builder.add("BiasGelu", [match.x, match.bias], shape=shape_of(match.output), domain=MICROSOFT)


def _has_other_activation(node: onnx_ir.Node) -> bool:
    """Whether `node` adds the bias of a feed-forward network whose activation is not GELU, or is its approximation."""
    shape, product = node.outputs[0].shape, producer(node, 0)
    if not is_operator(node, "Add") or product is None or not is_operator(product, "MatMul"):
        return False
    # A classifier, which has a ReLU in every model, reads one vector for each text
    has_tokens = shape is not None and len(shape) == _TOKEN_AXES
    if not has_tokens or array_of(product.inputs[1]) is None or array_of(node.inputs[1]) is None:
        return False
    return any(_is_other_activation(reader) for reader, _ in node.outputs[0].uses())


def _is_other_activation(node: onnx_ir.Node) -> bool:
    if is_operator(node, "Gelu"):
        return node.attributes.get_string("approximate", "none") != "none"
    if is_operator(node, "Mul"):
        reader = sole_reader(node.outputs[0])
        return reader is not None and is_operator(reader, "Sigmoid")
    return is_operator(node, *_OTHER_ACTIVATIONS)
