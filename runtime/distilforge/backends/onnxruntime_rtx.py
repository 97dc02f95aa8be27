"""ONNX Runtime's provider for TensorRT-RTX, which comes in a plugin: it runs engines, and ONNX graphs."""

from distilforge.backends import backends
from distilforge.backends.tensorrt_rtx import TENSORRT_RTX
from distilforge.onnxruntime.device import OnnxRuntimeDevice
from distilforge.plugin import Plugin

backends.register("onnxruntime-rtx")(
    OnnxRuntimeDevice(
        provider="NvTensorRTRTXExecutionProvider",
        preference=220,
        plugin=Plugin(
            module="onnxruntime_ep_nv_tensorrt_rtx",
            install="pip install onnxruntime-ep-nv-tensorrt-rtx",
            device="an RTX GPU, Ampere or later, and a driver for CUDA 13",
            library="libtensorrt_rtx.so.",
        ),
        runtime=TENSORRT_RTX,
        kernel_options=("nv_runtime_cache_path",),
        # Those that the plugin's documentation promises; it compiles ONNX graphs for the same
        capabilities=("8.6", "8.9", "12.0+"),
        profile_options=("nv_profile_min_shapes", "nv_profile_opt_shapes", "nv_profile_max_shapes"),
    )
)
