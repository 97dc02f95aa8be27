"""What an engine is built with beyond its graph: the recipe's table [engine]. Imports no toolkit."""

from dataclasses import dataclass, fields
from pathlib import Path

from pipeline.errors import UsageError

NO_COMPATIBILITY = "none"
HARDWARE_COMPATIBILITIES = (NO_COMPATIBILITY, "ampere_plus", "same_compute_capability")
_HIGHEST_LEVEL = 5
# More than any device has
_MOST_MB = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How to compile engines; what a flavour has none of is refused when it is known (pipeline.engines.build.check).

    capabilities: compute capabilities as "8.6"; none for all that the flavour compiles for by itself. buckets: token
    counts at which optimization profiles end, rising; none for one profile over the recipe's spans. tf32: matrix
    products of fp32 may round their factors to 10 bits. optimization_level: 0 to 5, None for TensorRT's own.
    workspace_mb: memory in MB that a layer may use beyond its tensors. hardware_compatibility: one of
    HARDWARE_COMPATIBILITIES. version_compatible: later versions of the runtime may load it. weights_stripped: the
    weights are left out, and refitted from the release's ONNX graph. detailed: profilers see every layer, and so does
    the manifest, which otherwise counts the graph's layers before they are fused. timing_cache: a file of kernel
    timings to begin with and to add to; it decides how long a build takes, so a release's digest leaves it out. Raises
    UsageError for a value that no engine can have.
    """

    capabilities: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()
    tf32: bool = False
    optimization_level: int | None = None
    workspace_mb: int | None = None
    hardware_compatibility: str = NO_COMPATIBILITY
    version_compatible: bool = False
    weights_stripped: bool = False
    detailed: bool = True
    timing_cache: Path | None = None

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
        for before, bucket in zip((0, *self.buckets), self.buckets, strict=False):
            if bucket <= before:
                raise UsageError(
                    f"buckets must rise from at least 1, found {bucket} after {before}",
                    hint="write token counts from the smallest to the largest: buckets = [64, 128, 512]",
                )
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
        if self.hardware_compatibility not in HARDWARE_COMPATIBILITIES:
            raise UsageError(
                f"hardware_compatibility must be one of {', '.join(HARDWARE_COMPATIBILITIES)}, "
                f"found {self.hardware_compatibility!r}",
                hint=f"{NO_COMPATIBILITY!r} builds for the device at hand",
            )

    @property
    def changed(self) -> dict[str, str]:
        """What differs from the defaults, by name, as text: what a manifest records and a flavour may refuse."""
        defaults = EngineOptions()
        return {
            entry.name: _text(getattr(self, entry.name))
            for entry in fields(self)
            if getattr(self, entry.name) != getattr(defaults, entry.name)
        }

    def to_json(self) -> dict[str, object]:
        """All that decides what an engine holds, as JSON, for digests."""
        return {
            entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "timing_cache"
        }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
