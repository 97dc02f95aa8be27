"""What differs between runtimes of engines, TensorRT and TensorRT-RTX, as data. Neither is imported here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRuntime:
    """A runtime of engines; those of a compiler run only with its own."""

    name: str
    """Its name, as users know it."""
    module: str
    """The module that is imported from `package`."""
    package: str
    """The package that contains it; its version is the engines' version."""
    cuda_package: str
    """How the names of packages begin that are built for one version of CUDA, which ends them: "tensorrt-cu"."""
    install: str
    """How to install it."""
    compiles_kernels: bool
    """Whether it compiles kernels on the device, can keep them between processes, and captures CUDA graphs itself."""
