"""TensorRT-RTX: engines for RTX devices, which are compiled ahead of time, without a device."""

from pipeline.engines.compiler import EngineCompiler
from pipeline.targets.engine_target import UNPADDED, engine_target

TENSORRT_RTX = engine_target(
    EngineCompiler(
        target="tensorrt-rtx",
        name="TensorRT-RTX",
        package="tensorrt-rtx",
        module="tensorrt_rtx",
        file_prefix="rtx",
        install="tensorrt-rtx polygraphy",
        needs_device=False,
        # NVIDIA, "CPU-Only AOT and TensorRT-RTX Engines" (TensorRT-RTX 1.7): unless some are named, an engine runs on
        # 8.0, 8.6, 8.9, 12.0 and later. 9.0 and 10.x cannot be named; an H100 (9.0) refused such an engine, and one for
        # itself (docs/measurements/gpu.md). 7.5 has to be named.
        capabilities=("7.5", "8.0", "8.6", "8.9", "12.0", "12.1"),
        default_capabilities=("8.0", "8.6", "8.9", "12.0+"),
        refused={
            # Each was tried with 1.7.1: the first is ignored with a warning, the second fails because there is no
            # libnvinfer_lean, the third gives the same bytes at every level
            "hardware_compatibility": "its engines run on every compute capability that they were built for: "
            "name those with capabilities",
            "version_compatible": "it has no lean runtime to put into an engine",
            "optimization_level": "it chooses kernels on the device, and builds the same engine at every level",
            # NVIDIA, "Timing Cache Migration": no effect, and to be removed
            "timing_cache": "it times no kernels ahead of time",
        },
        notes={
            "fp16_unpadded": UNPADDED,
            "int8": "Weights and activations are in 8 bits. NVIDIA documents 8 bits for weights alone in TensorRT-RTX, "
            "so that the engine may be no faster than fp16 on a device: only a measurement there says.",
        },
    ),
    precisions=("fp32", "fp16", "fp16_unpadded", "int8", "fp8"),
)
