"""What differs between TensorRT and TensorRT-RTX, by themselves and in ONNX Runtime, as data. Imports no toolkit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

FOLDER = "tensorrt"

# NVIDIA, "Support Matrix": earlier ones have no products of e4m3 numbers
LEAST: Mapping[str, tuple[int, int]] = {"fp8": (8, 9)}
"""The first compute capability that has a precision, for those that not every one has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One compiler of engines, and what runs them.

    target: the name of the target that uses it. package: the distribution, module: what is imported. prefix: begins
    the names of its files. extra: what to install where it is absent. needs_device: it builds only where a driver and
    a device are. capabilities: the compute capabilities that can be named. unnamed: what an engine without any named
    runs on, "12.0+" for that and later ones; none for the device that it is built on. refused: options that it has
    none of, and why. provider: of ONNX Runtime, where it runs the engines; "" where applications do without. precision:
    the one that the others were narrowed to; "" for all that need nothing of their own.
    """

    name: str
    target: str
    package: str
    module: str
    prefix: str
    extra: str
    needs_device: bool
    capabilities: tuple[str, ...]
    unnamed: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    precision: str = ""

    def narrowed(self, precision: str) -> "Flavour":
        """The same for `precision` alone: without the compute capabilities that do not have it."""
        least = LEAST.get(precision)
        if least is None:
            return self
        return replace(
            self,
            precision=precision,
            capabilities=tuple(each for each in self.capabilities if number(each) >= least),
            unnamed=tuple(each for each in self.unnamed if number(each) >= least),
        )

    def graph_file(self, precision: str) -> str:
        """Where a release has the graph that an engine is made of, relative."""
        return f"{FOLDER}/{self.prefix}-{precision}.onnx"

    def engine_file(self, precision: str) -> str:
        """Where a release has the engine, relative."""
        return f"{FOLDER}/{self.prefix}-{precision}.engine"

    def context_file(self, precision: str) -> str:
        """Where a release has the ONNX model that hands the engine to `provider`, relative; beside the engine."""
        return f"{FOLDER}/{self.prefix}-{precision}_ctx.onnx"


def number(capability: str) -> tuple[int, int]:
    """A compute capability, "8.6" or "12.0+", to be compared with another."""
    major, _, minor = capability.removesuffix("+").partition(".")
    return int(major), int(minor)


# NVIDIA, "CPU-Only AOT and TensorRT-RTX Engines" (TensorRT-RTX 1.7): an engine for which none is named runs on
# 8.0, 8.6, 8.9, 12.0 and later ones. 9.0 and 10.x cannot be named and are not promised; 7.5 has to be named.
RTX = Flavour(
    name="TensorRT-RTX",
    target="tensorrt-rtx",
    package="tensorrt-rtx",
    module="tensorrt_rtx",
    prefix="rtx",
    extra="tensorrt-rtx polygraphy",
    needs_device=False,
    capabilities=("7.5", "8.0", "8.6", "8.9", "12.0", "12.1"),
    unnamed=("8.0", "8.6", "8.9", "12.0+"),
    refused={
        # Each was tried with 1.7.1: the first is ignored with a warning, the second stops for want of libnvinfer_lean,
        # the third gives the same bytes at every level
        "hardware_compatibility": "its engines run on every compute capability that they were built for: "
        "name those with capabilities",
        "version_compatible": "it has no lean runtime to put into an engine",
        "optimization_level": "it chooses kernels on the device, and builds the same engine at every level",
        # NVIDIA, "Timing Cache Migration": no effect, and to be removed
        "timing_cache": "it times no kernels ahead of time",
    },
)

TENSORRT = Flavour(
    name="TensorRT",
    target="tensorrt",
    package="tensorrt",
    module="tensorrt",
    prefix="trt",
    extra="'distilforge-pipeline[tensorrt]'",
    needs_device=True,
    capabilities=(),
    unnamed=(),
    refused={
        "capabilities": "TensorRT builds for the device at hand; "
        'hardware_compatibility = "ampere_plus" widens that to compute capability 8.0 and later',
    },
)

# Read in the providers' sources: docs/decisions/0013
_BY_A_PROVIDER = {
    "buckets": "it runs the first profile of an engine, whatever the batch",
    "weights_stripped": "it puts weights back into an engine only as an experiment",
}

# onnxruntime-ep-nv-tensorrt-rtx 0.5 supports these, which are fewer than its engines run on
ONNXRUNTIME_RTX = replace(
    RTX,
    target="onnxruntime-rtx",
    prefix="onnxruntime-rtx",
    capabilities=("8.6", "8.9", "12.0", "12.1"),
    unnamed=("8.6", "8.9", "12.0+"),
    refused={**RTX.refused, **_BY_A_PROVIDER},
    provider="NvTensorRTRTXExecutionProvider",
)

ONNXRUNTIME_TENSORRT = replace(
    TENSORRT,
    target="onnxruntime-tensorrt",
    prefix="onnxruntime-trt",
    refused={
        **TENSORRT.refused,
        **_BY_A_PROVIDER,
        "version_compatible": "it is not known to let an engine bring a runtime of its own",
    },
    provider="TensorrtExecutionProvider",
)

FLAVOURS: Mapping[str, Flavour] = {
    flavour.target: flavour for flavour in (RTX, TENSORRT, ONNXRUNTIME_RTX, ONNXRUNTIME_TENSORRT)
}
