"""A session of a graph that is in memory: its weights are handed to ONNX Runtime as they are, not by way of a file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir

from pipeline.graph.file import Graph
from pipeline.graph.onnx_writer import instead_of_weights

if TYPE_CHECKING:
    import onnxruntime

# What decides about shapes has to be in the model itself; no shape is as large, and no weight that matters as small
_LEAST_BYTES = 1024
_NOWHERE = "in memory"


def session(
    graph: Graph, options: "onnxruntime.SessionOptions", settings: Mapping[str, list[str]] | None = None
) -> "onnxruntime.InferenceSession":
    """`graph` on the CPU provider with `options` and what else InferenceSession takes; it is as it was afterwards.

    Raises what ONNX Runtime raises for a graph that it cannot load.
    """
    import onnxruntime

    handed: dict[str, onnxruntime.OrtValue] = {}

    def instead(name: str, tensor: onnx_ir.TensorProtocol) -> onnx_ir.TensorProtocol:
        if not _is_handed_over(tensor):
            return _inside(tensor, name)
        # ONNX Runtime copies it when it loads the graph, and takes no other than a contiguous one
        handed[name] = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor.numpy()))
        return _elsewhere(tensor, name)

    with instead_of_weights(graph, instead):
        model = onnx_ir.to_proto(graph).SerializeToString()
    options.add_external_initializers(list(handed), list(handed.values()))
    return onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"], **(settings or {})
    )


def _elsewhere(tensor: onnx_ir.TensorProtocol, name: str) -> onnx_ir.TensorProtocol:
    """Stands for one that is handed over."""
    shape = onnx_ir.Shape(tensor.shape.numpy())
    return onnx_ir.ExternalTensor(_NOWHERE, 0, tensor.nbytes, tensor.dtype, shape=shape, name=name)


def _inside(tensor: onnx_ir.TensorProtocol, name: str) -> onnx_ir.TensorProtocol:
    """The same, which the model holds itself: a model without a file has nothing beside it."""
    if not isinstance(tensor, onnx_ir.ExternalTensor):
        return tensor
    return onnx_ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=name)


def _is_handed_over(tensor: onnx_ir.TensorProtocol) -> bool:
    """Whether it is large, and of a type that numpy has by itself."""
    kind = tensor.dtype.numpy()
    return tensor.nbytes >= _LEAST_BYTES and np.dtype(kind).isbuiltin == 1
