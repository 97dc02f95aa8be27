"""ONNX Runtime's provider for TensorRT-RTX: engines that are compiled ahead of time, without a device."""

from dataclasses import replace

from pipeline.engines.compiler import REFUSED_FOR_PROVIDERS
from pipeline.targets.engine_target import engine_target
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX

ONNXRUNTIME_RTX = engine_target(
    replace(
        TENSORRT_RTX,
        target="onnxruntime-rtx",
        file_prefix="onnxruntime-rtx",
        # onnxruntime-ep-nv-tensorrt-rtx 0.5 supports fewer than its engines run on
        capabilities=("8.6", "8.9", "12.0", "12.1"),
        default_capabilities=("8.6", "8.9", "12.0+"),
        refused={**TENSORRT_RTX.refused, **REFUSED_FOR_PROVIDERS},
        provider="NvTensorRTRTXExecutionProvider",
    ),
    precisions=("fp32", "fp16", "int8"),
    plans="tensorrt-rtx",
)
