"""Engines of TensorRT-RTX, or ONNX graphs, through ONNX Runtime's provider for it, which a plugin brings."""

from distilforge.backends import backends
from distilforge.onnxruntime.device import OnnxRuntimeDevice, Plugin
from distilforge.tensorrt.flavours import RTX

backends.register("onnxruntime-rtx")(
    OnnxRuntimeDevice(
        provider="NvTensorRTRTXExecutionProvider",
        preference=220,
        plugin=Plugin(
            module="onnxruntime_ep_nv_tensorrt_rtx",
            install="pip install onnxruntime-ep-nv-tensorrt-rtx",
            library="libtensorrt_rtx.so.",
        ),
        compiler=RTX,
        kernels=("nv_runtime_cache_path",),
        profiles=("nv_profile_min_shapes", "nv_profile_opt_shapes", "nv_profile_max_shapes"),
    )
)
