"""Engines of TensorRT through ONNX Runtime's provider for it, or ONNX graphs, which it compiles where they run."""

from distilforge.backends import backends
from distilforge.onnxruntime.device import OnnxRuntimeDevice
from distilforge.tensorrt.flavours import TENSORRT

backends.register("onnxruntime-tensorrt")(
    OnnxRuntimeDevice(
        provider="TensorrtExecutionProvider",
        preference=230,
        library="onnxruntime_providers_tensorrt",
        compiler=TENSORRT,
        options={"trt_engine_cache_enable": "True", "trt_timing_cache_enable": "True"},
        profiles=("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"),
        kept=("trt_engine_cache_path", "trt_timing_cache_path"),
    )
)
