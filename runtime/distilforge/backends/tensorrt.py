"""Engines of TensorRT, for data centres and Jetson."""

from distilforge.backends import backends
from distilforge.tensorrt.backend import TensorRT
from distilforge.tensorrt.engine_runtime import EngineRuntime

TENSORRT = EngineRuntime(
    name="TensorRT",
    module="tensorrt",
    package="tensorrt",
    cuda_package="tensorrt-cu",
    install="pip install 'distilforge[tensorrt]'; on Jetson it comes with JetPack",
    compiles_kernels=False,
)

backends.register("tensorrt")(TensorRT(runtime=TENSORRT, preference=300))
