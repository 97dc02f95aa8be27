"""ONNX Runtime's provider for TensorRT: it runs engines, and ONNX graphs, which it compiles on this machine."""

from distilforge.backends import backends
from distilforge.backends.tensorrt import TENSORRT
from distilforge.onnxruntime.device import OnnxRuntimeDevice

backends.register("onnxruntime-tensorrt")(
    OnnxRuntimeDevice(
        provider="TensorrtExecutionProvider",
        preference=230,
        library="onnxruntime_providers_tensorrt",
        runtime=TENSORRT,
        options={"trt_engine_cache_enable": "True", "trt_timing_cache_enable": "True"},
        profile_options=("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"),
        cache_options=("trt_engine_cache_path", "trt_timing_cache_path"),
    )
)
