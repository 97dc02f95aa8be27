"""TensorRT: engines for the device that compiles them, in data centres and on Jetson."""

from pipeline.engines.compiler import EngineCompiler
from pipeline.targets.engine_target import UNPADDED, engine_target

TENSORRT = engine_target(
    EngineCompiler(
        target="tensorrt",
        name="TensorRT",
        package="tensorrt",
        module="tensorrt",
        file_prefix="trt",
        install="'distilforge-pipeline[tensorrt]'",
        needs_device=True,
        # It times kernels for the usual sizes of each profile
        default_buckets=(64, 128, 384, 512),
        default_batches=(1, 8, 32),
        refused={
            "capabilities": "TensorRT builds for the device at hand; "
            'hardware_compatibility = "ampere_plus" widens that to compute capability 8.0 and later',
        },
        notes={"fp16_unpadded": UNPADDED},
    ),
    precisions=("fp32", "fp16", "fp16_unpadded", "int8", "fp8"),
    plans="tensorrt-rtx",
)
