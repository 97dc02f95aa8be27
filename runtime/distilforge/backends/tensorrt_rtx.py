"""Engines of TensorRT-RTX, which are compiled without a GPU; the GPU that runs them compiles their kernels."""

from distilforge.backends import backends
from distilforge.tensorrt.backend import TensorRT
from distilforge.tensorrt.engine_runtime import EngineRuntime

TENSORRT_RTX = EngineRuntime(
    name="TensorRT-RTX",
    module="tensorrt_rtx",
    package="tensorrt-rtx",
    cuda_package="tensorrt-rtx-cu",
    install="pip install 'distilforge[tensorrt-rtx]'",
    compiles_kernels=True,
)

backends.register("tensorrt-rtx")(TensorRT(runtime=TENSORRT_RTX, preference=290))
