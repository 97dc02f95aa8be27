"""ONNX graphs, or engines embedded in them, through ONNX Runtime's TensorRT-RTX provider, which a plugin brings."""

from distilforge.backends import backends
from distilforge.onnxruntime_device import OnnxRuntimeDevice, Plugin

backends.register("onnxruntime-rtx")(
    OnnxRuntimeDevice(
        provider="NvTensorRTRTXExecutionProvider",
        preference=220,
        plugin=Plugin(
            module="onnxruntime_ep_nv_tensorrt_rtx", install="pip install onnxruntime-ep-nv-tensorrt-rtx"
        ),
        profiles=("nv_profile_min_shapes", "nv_profile_opt_shapes", "nv_profile_max_shapes"),
        kept=("nv_runtime_cache_path",),
    )
)
