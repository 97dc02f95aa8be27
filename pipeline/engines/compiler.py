"""What differs between compilers of engines, as data. No compiler is imported here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

FOLDER = "tensorrt"
_RTX_MODULE = "tensorrt_rtx"

# NVIDIA, "Support Matrix": earlier devices cannot multiply e4m3 numbers
LOWEST_CAPABILITIES: Mapping[str, tuple[int, int]] = {"fp8": (8, 9)}
"""The first compute capability that has a precision, for the precisions that not every device has."""

# Read in the providers' sources: docs/decisions/0013
REFUSED_FOR_PROVIDERS: Mapping[str, str] = {
    "buckets": "it runs the first profile of an engine, whatever the batch",
    "batches": "it runs the first profile of an engine, whatever the batch",
    "weights_stripped": "it puts weights back into an engine only as an experiment",
}
"""The options of engines that ONNX Runtime's providers do not support, with the reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCompiler:
    """A compiler of engines, as one target uses it."""

    target: str
    """The name of that target."""
    name: str
    """The compiler's name, as users know it."""
    package: str
    """The package that contains the compiler."""
    module: str
    """The module that is imported from `package`."""
    file_prefix: str
    """How the names of the target's files in a release begin."""
    install: str
    """The arguments of `pip install` that bring `package`."""
    needs_device: bool
    """Whether it builds only on a machine that has a driver and a device."""
    capabilities: tuple[str, ...] = ()
    """The compute capabilities that can be asked for, as "8.6"; empty where it builds for the device at hand."""
    default_capabilities: tuple[str, ...] = ()
    """Where engines run if none was asked for; "12.0+" means 12.0 and later. Empty: on the device that built them."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """The options that it does not support, with the reasons."""
    default_buckets: tuple[int, ...] = ()
    """The token counts at which profiles end if the options name none; those outside the recipe's span are left out."""
    default_batches: tuple[int, ...] = ()
    """The numbers of texts at which profiles end if the options name none, as with `default_buckets`."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a release says about the engines of a precision, by the precision."""
    provider: str = ""
    """The provider of ONNX Runtime that runs the engines; "" where applications run them directly."""
    precision: str = ""
    """The precision that excluded some compute capabilities (see `narrowed`); "" if none did."""

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT-RTX, which Polygraphy configures by other classes than TensorRT."""
        return self.module == _RTX_MODULE

    def narrowed(self, precision: str) -> "EngineCompiler":
        """This compiler without the compute capabilities that do not have `precision`."""
        lowest = LOWEST_CAPABILITIES.get(precision)
        if lowest is None:
            return self
        return replace(
            self,
            precision=precision,
            capabilities=tuple(name for name in self.capabilities if number(name) >= lowest),
            default_capabilities=tuple(name for name in self.default_capabilities if number(name) >= lowest),
        )

    def graph_file(self, precision: str) -> str:
        """The path in a release of the graph that the engine is compiled from."""
        return f"{FOLDER}/{self.file_prefix}-{precision}.onnx"

    def engine_file(self, precision: str) -> str:
        """The path in a release of the engine."""
        return f"{FOLDER}/{self.file_prefix}-{precision}.engine"

    def context_file(self, precision: str) -> str:
        """The path in a release of the ONNX model that gives the engine to `provider`; it lies beside the engine."""
        return f"{FOLDER}/{self.file_prefix}-{precision}_ctx.onnx"


def number(capability: str) -> tuple[int, int]:
    """The compute capability "8.6" or "12.0+" as two numbers, which can be compared."""
    major, _, minor = capability.removesuffix("+").partition(".")
    return int(major), int(minor)
