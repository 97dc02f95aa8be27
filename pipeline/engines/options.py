"""How engines are compiled: the recipe's table [engine]. Imports no toolkit."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, get_args

from pipeline.errors import OptionError, UsageError
from pipeline.store import digests

HardwareCompatibility = Literal["none", "ampere_plus", "same_compute_capability"]
NO_COMPATIBILITY: Final = "none"
_HIGHEST_LEVEL = 5
# More memory than any device has
_MOST_MB = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How engines are compiled.

    The fields are the names of the table [engine]. Raises UsageError for values that no engine can have;
    pipeline.engines.build.check refuses options that a compiler does not support.
    """

    capabilities: tuple[str, ...] = ()
    """Compute capabilities that engines are for, such as "8.6"; empty for all that the compiler supports."""
    buckets: tuple[int, ...] = ()
    """Token counts at which optimization profiles end, rising; empty for the compiler's default."""
    batches: tuple[int, ...] = ()
    """Numbers of texts at which optimization profiles end, rising; empty for the compiler's default."""
    tf32: bool = False
    """Whether matrix products in fp32 may round their factors to 10 bits."""
    optimization_level: int | None = None
    """From 0 to 5; None for TensorRT's default."""
    workspace_mb: int | None = None
    """Memory in MB that a layer may use beside its tensors; None for as much as the device has."""
    hardware_compatibility: HardwareCompatibility = NO_COMPATIBILITY
    """Which devices can load it: "none" stands for those like the device that it is built on."""
    version_compatible: bool = False
    """Whether later versions of the runtime can load it."""
    weights_stripped: bool = False
    """Whether the weights are left out, and taken from the release's ONNX graph when the engine is loaded."""
    detailed: bool = True
    """Whether profilers see every layer; if not, the manifest counts the graph's layers before they are fused."""
    timing_cache: Path | None = field(default=None, metadata=digests.NOT_COUNTED)
    """A file of kernel timings that a build starts with and adds to; it changes only how long a build takes."""

    def __post_init__(self) -> None:
        for capability in self.capabilities:
            major, dot, minor = capability.partition(".")
            if not (dot and _is_number(major) and _is_number(minor)):
                raise UsageError(
                    f"a compute capability is two numbers with a dot, found {capability!r}",
                    hint="for example 8.6; `nvidia-smi --query-gpu=compute_cap --format=csv` shows a machine's",
                )
            if self.capabilities.count(capability) > 1:
                raise UsageError(f"the compute capability {capability} is named twice", hint="name it once")
        _check_rising("buckets", self.buckets, "token counts", "64, 128, 512")
        _check_rising("batches", self.batches, "numbers of texts", "1, 8, 32")
        if self.optimization_level is not None and not 0 <= self.optimization_level <= _HIGHEST_LEVEL:
            raise UsageError(
                f"optimization_level must lie between 0 and {_HIGHEST_LEVEL}, found {self.optimization_level}",
                hint="leave it out for TensorRT's own choice",
            )
        if self.workspace_mb is not None and not 1 <= self.workspace_mb <= _MOST_MB:
            raise UsageError(
                f"workspace_mb must lie between 1 and {_MOST_MB}, found {self.workspace_mb}",
                hint="leave it out to let TensorRT use what the device has",
            )
        if self.hardware_compatibility not in get_args(HardwareCompatibility):
            raise UsageError(
                f"hardware_compatibility must be one of {', '.join(get_args(HardwareCompatibility))}, "
                f"found {self.hardware_compatibility!r}",
                hint=f"{NO_COMPATIBILITY!r} builds for the device at hand",
            )

    @property
    def changed(self) -> dict[str, str]:
        """The fields that differ from the defaults, as text; manifests record them, and a compiler may refuse them."""
        defaults = EngineOptions()
        return {
            entry.name: _text(getattr(self, entry.name))
            for entry in fields(self)
            if getattr(self, entry.name) != getattr(defaults, entry.name)
        }

    def to_json(self) -> dict[str, object]:
        """The fields that decide what an engine holds, as JSON for a digest."""
        return digests.counted(self)


def _check_rising(name: str, ends: tuple[int, ...], what: str, example: str) -> None:
    for before, end in zip((0, *ends), ends, strict=False):
        if end <= before:
            raise OptionError(
                f"{{{name}}} must rise from at least 1, found {end} after {before}",
                hint=f"write {what} from the smallest to the largest, such as {example}",
            )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
