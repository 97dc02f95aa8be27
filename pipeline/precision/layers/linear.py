"""Linear layers: matrix products with a constant weight, whatever their operator and orientation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError
from pipeline.graph.builder import insert, replace
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator

_WEIGHT = ".weight"
_PLAIN_GEMM = {"transA": 0, "alpha": 1.0, "beta": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """One linear layer of a graph."""

    module: str
    """Hugging Face's name of the layer."""
    node: onnx_ir.Node
    """The MatMul or Gemm."""
    initializer: onnx_ir.Value
    """The initializer that holds the weight."""
    transposed: bool
    """Whether `initializer` is (out, in) and not (in, out)."""
    tied: bool
    """Whether an embedding reads `initializer` too."""

    @property
    def activation(self) -> onnx_ir.Value:
        """The value that the weight is multiplied with."""
        value = self.node.inputs[0]
        assert value is not None
        return value

    @property
    def operand(self) -> onnx_ir.Value:
        """The node's second input: `initializer`, or its transpose."""
        value = self.node.inputs[1]
        assert value is not None
        return value

    @property
    def bias(self) -> onnx_ir.Value | None:
        """The bias of a Gemm; the node after a MatMul adds its bias."""
        return self.node.inputs[2] if self.node.op_type == "Gemm" and len(self.node.inputs) > 2 else None

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """The weight as (in, out)."""
        array = array_of(self.initializer)
        assert array is not None
        weight: npt.NDArray[np.float32] = array.astype(np.float32, copy=False)
        return weight.T if self.transposed else weight


def find(graph: Graph) -> tuple[Linear, ...]:
    """Every linear layer in floating point, in the graph's order.

    Raises StageError for a Gemm that scales or transposes its input; the export does not write any.
    """
    return tuple(linear for node in graph.graph if (linear := _linear(node)) is not None)


def replace_with_product(graph: Graph, linear: Linear, product: onnx_ir.Value) -> None:
    """Replace the node of `linear` by `product`, and by an Add after it where the node has a bias."""
    node, bias = linear.node, linear.bias
    if bias is not None:
        product = insert(
            graph,
            node,
            "Add",
            [product, bias],
            name=f"{linear.module}/Add",
            dtype=onnx_ir.DataType.FLOAT,
            shape=node.outputs[0].shape,
        )
    replace(graph, node, product)


def _linear(node: onnx_ir.Node) -> Linear | None:
    if not is_operator(node, "MatMul", "Gemm"):
        return None
    weight = node.inputs[1]
    assert weight is not None
    producer = weight.producer()
    initializer, transposed = weight, False
    if producer is not None and is_operator(producer, "Transpose"):
        assert producer.inputs[0] is not None
        initializer, transposed = producer.inputs[0], True
    if (
        not initializer.is_initializer()
        or initializer.const_value is None
        or len(initializer.const_value.shape) != 2
    ):
        return None
    if node.op_type == "Gemm":
        _require_plain(node)
        transposed ^= bool(node.attributes.get_int("transB", 0))
    tied = any(is_operator(use.node, "Gather") for use in initializer.uses())
    assert initializer.name is not None
    # The initializer of a tied weight has the embedding's name
    module = str(node.name).partition("/")[0] if tied else initializer.name.removesuffix(_WEIGHT)
    return Linear(module=module, node=node, initializer=initializer, transposed=transposed, tied=tied)


def _require_plain(node: onnx_ir.Node) -> None:
    attributes = {
        "transA": node.attributes.get_int("transA", 0),
        "alpha": node.attributes.get_float("alpha", 1.0),
        "beta": node.attributes.get_float("beta", 1.0),
    }
    if attributes != _PLAIN_GEMM:
        raise StageError(
            "quantize",
            f"{node.name} is a Gemm with {attributes}; only a Gemm with {_PLAIN_GEMM} can be quantized",
            hint="write it as MatMul and Add, or exclude its module",
        )
