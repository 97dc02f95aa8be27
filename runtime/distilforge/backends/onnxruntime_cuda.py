"""ONNX graphs in ONNX Runtime, with its CUDA provider."""

from distilforge.backends import backends
from distilforge.onnxruntime.device import OnnxRuntimeDevice

backends.register("onnxruntime-cuda")(
    OnnxRuntimeDevice(provider="CUDAExecutionProvider", preference=200, library="onnxruntime_providers_cuda")
)
