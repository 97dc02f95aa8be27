"""What differs between TensorRT and TensorRT-RTX, as data. Imports no toolkit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One runtime of engines.

    target: of the variants it runs. module: what is imported. package: its distribution, whose version is the
    engines'; built_for: that plus the CUDA it is built for, as "-cu13", is another distribution. install: how to get
    it. jit: it compiles kernels where it runs, can keep them between processes, and captures CUDA graphs by itself.
    """

    name: str
    target: str
    module: str
    package: str
    built_for: str
    install: str
    jit: bool


RTX = Flavour(
    name="TensorRT-RTX",
    target="tensorrt-rtx",
    module="tensorrt_rtx",
    package="tensorrt-rtx",
    built_for="tensorrt-rtx-cu",
    install="pip install 'distilforge[tensorrt-rtx]'",
    jit=True,
)

TENSORRT = Flavour(
    name="TensorRT",
    target="tensorrt",
    module="tensorrt",
    package="tensorrt",
    built_for="tensorrt-cu",
    install="pip install 'distilforge[tensorrt]'; on Jetson it comes with JetPack",
    jit=False,
)
