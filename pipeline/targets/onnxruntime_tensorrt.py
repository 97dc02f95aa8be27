"""ONNX Runtime's provider for TensorRT: engines for the device that compiles them."""

from dataclasses import replace

from pipeline.engines.compiler import REFUSED_FOR_PROVIDERS
from pipeline.targets.engine_target import engine_target
from pipeline.targets.tensorrt import TENSORRT

ONNXRUNTIME_TENSORRT = engine_target(
    replace(
        TENSORRT,
        target="onnxruntime-tensorrt",
        file_prefix="onnxruntime-trt",
        # The provider runs the first profile of an engine, whatever the batch
        default_buckets=(),
        default_batches=(),
        refused={
            **TENSORRT.refused,
            **REFUSED_FOR_PROVIDERS,
            "version_compatible": "it is not known to accept an engine that contains a runtime",
        },
        provider="TensorrtExecutionProvider",
    ),
    precisions=("fp32", "fp16", "int8"),
    plans="tensorrt-rtx",
)
