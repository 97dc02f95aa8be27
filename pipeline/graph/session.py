"""An ONNX Runtime session of a graph in memory, which gets the weights directly instead of from a file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir
from distilforge.onnxruntime.engine import SILENT

from pipeline.graph.file import Graph
from pipeline.graph.onnx_writer import substituted_weights

if TYPE_CHECKING:
    import onnxruntime

# Constants that determine shapes have to be in the model. They are smaller than this; weights worth sharing are larger.
_LEAST_BYTES = 1024
# The location of weights that ONNX Runtime gets separately; there is no such file
_LOCATION = "in memory"


def session(
    graph: Graph, options: "onnxruntime.SessionOptions", settings: Mapping[str, list[str]] | None = None
) -> "onnxruntime.InferenceSession":
    """`graph` on the CPU provider with `options`, silent, and other arguments of InferenceSession.

    `graph` stays as it is.

    Raises the errors of ONNX Runtime for a graph that it cannot load.
    """
    import onnxruntime

    separate: dict[str, onnxruntime.OrtValue] = {}

    def substitute(name: str, tensor: onnx_ir.TensorProtocol) -> onnx_ir.TensorProtocol:
        if not _is_separate(tensor):
            return _included(tensor, name)
        # ONNX Runtime accepts contiguous arrays only; it copies them when it loads the graph
        separate[name] = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor.numpy()))
        return _reference(tensor, name)

    with substituted_weights(graph, substitute):
        model = onnx_ir.to_proto(graph).SerializeToString()
    options.log_severity_level = SILENT
    options.add_external_initializers(list(separate), list(separate.values()))
    return onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"], **(settings or {})
    )


def _reference(tensor: onnx_ir.TensorProtocol, name: str) -> onnx_ir.TensorProtocol:
    """The placeholder in the model for a tensor that ONNX Runtime gets separately."""
    shape = onnx_ir.Shape(tensor.shape.numpy())
    return onnx_ir.ExternalTensor(_LOCATION, 0, tensor.nbytes, tensor.dtype, shape=shape, name=name)


def _included(tensor: onnx_ir.TensorProtocol, name: str) -> onnx_ir.TensorProtocol:
    """`tensor` with its content inside the model: a model without a file cannot refer to files beside it."""
    if not isinstance(tensor, onnx_ir.ExternalTensor):
        return tensor
    return onnx_ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=name)


def _is_separate(tensor: onnx_ir.TensorProtocol) -> bool:
    """Whether a tensor is large, and of one of numpy's built-in types."""
    dtype = np.dtype(tensor.dtype.numpy())
    return tensor.nbytes >= _LEAST_BYTES and dtype.isbuiltin == 1
