"""Linear layers: matrix products with a constant weight, whatever operator and orientation they are written in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir

from pipeline.errors import StageError
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator

_WEIGHT = ".weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """One linear layer. `module` is its Hugging Face name, `node` the MatMul or Gemm, `stored` the initializer.

    With `transposed`, the initializer is (out, in) and not (in, out); `tied` says that an embedding reads it too.
    """

    module: str
    node: onnx_ir.Node
    stored: onnx_ir.Value
    transposed: bool
    tied: bool

    @property
    def activation(self) -> onnx_ir.Value:
        found = self.node.inputs[0]
        assert found is not None
        return found

    @property
    def bias(self) -> onnx_ir.Value | None:
        """The bias of a Gemm; that of a MatMul is added by the node after it."""
        return self.node.inputs[2] if self.node.op_type == "Gemm" and len(self.node.inputs) > 2 else None

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """The weight as (in, out)."""
        array = array_of(self.stored)
        assert array is not None
        found: npt.NDArray[np.float32] = array.astype(np.float32, copy=False)
        return found.T if self.transposed else found


def find(graph: Graph) -> tuple[Linear, ...]:
    """Every linear layer in floating point, in the graph's order.

    Raises StageError for a Gemm that scales or transposes its input, which none of ours does.
    """
    return tuple(found for node in graph.graph if (found := _linear(node)) is not None)


def _linear(node: onnx_ir.Node) -> Linear | None:
    if not is_operator(node, "MatMul", "Gemm"):
        return None
    weight = node.inputs[1]
    assert weight is not None
    producer = weight.producer()
    stored, transposed = weight, False
    if producer is not None and is_operator(producer, "Transpose"):
        assert producer.inputs[0] is not None
        stored, transposed = producer.inputs[0], True
    if not stored.is_initializer() or stored.const_value is None or len(stored.const_value.shape) != 2:
        return None
    if node.op_type == "Gemm":
        _require_plain(node)
        transposed ^= bool(node.attributes.get_int("transB", 0))
    tied = any(is_operator(use.node, "Gather") for use in stored.uses())
    assert stored.name is not None
    named = str(node.name).partition("/")[0] if tied else stored.name.removesuffix(_WEIGHT)
    return Linear(module=named, node=node, stored=stored, transposed=transposed, tied=tied)


def _require_plain(node: onnx_ir.Node) -> None:
    found = {
        "transA": node.attributes.get_int("transA", 0),
        "alpha": node.attributes.get_float("alpha", 1.0),
        "beta": node.attributes.get_float("beta", 1.0),
    }
    if found != {"transA": 0, "alpha": 1.0, "beta": 1.0}:
        raise StageError(
            "quantize",
            f"{node.name} is a Gemm with {found}; only transA 0, alpha 1 and beta 1 can be quantized",
            hint="write it as MatMul and Add, or exclude its module",
        )
