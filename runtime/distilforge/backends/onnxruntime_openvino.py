"""ONNX Runtime's provider for OpenVINO, which comes in a plug-in: it runs ONNX graphs on Intel's processors."""

from distilforge.backends import backends
from distilforge.onnxruntime.openvino import OnnxRuntimeOpenVino

backends.register("onnxruntime-openvino")(OnnxRuntimeOpenVino(preference=100))
