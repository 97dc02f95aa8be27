"""A session of a graph that is in memory: its weights are handed to ONNX Runtime as they are, not by way of a file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir

from pipeline.graph import Graph

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

    stored = {
        name: (value, value.const_value)
        for name, value in graph.graph.initializers.items()
        if value.const_value is not None
    }
    weights = {name: tensor for name, (_, tensor) in stored.items() if _is_handed_over(tensor)}
    # ONNX Runtime copies them when it loads the graph, and takes no others than contiguous ones
    handed = [
        onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor.numpy()))
        for tensor in weights.values()
    ]
    try:
        for name, (value, tensor) in stored.items():
            value.const_value = _elsewhere(tensor, name) if name in weights else _inside(tensor, name)
        model = onnx_ir.to_proto(graph).SerializeToString()
    finally:
        for value, tensor in stored.values():
            value.const_value = tensor
    options.add_external_initializers(list(weights), handed)
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
