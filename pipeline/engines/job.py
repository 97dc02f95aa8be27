"""The messages between a build and its worker, as JSON files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# A line of the worker's output that begins with this is for the user; other lines are printed by TensorRT
PROGRESS = "progress: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One engine to compile."""

    compiler: str
    """The compiler's name, as users know it."""
    module: str
    """The compiler's module."""
    is_rtx: bool
    """Whether the compiler is TensorRT-RTX."""
    graph: str
    """The path of the ONNX file."""
    output: str
    """The path of the engine."""
    profiles: tuple[Mapping[str, tuple[int, int, int]], ...]
    """The low, usual and high size of every axis, for each profile."""
    capabilities: tuple[str, ...]
    """The compute capabilities that were asked for; empty for the compiler's default."""
    tf32: bool
    """Whether matrix products of fp32 may use TF32."""
    optimization_level: int | None
    """0 to 5; None for the compiler's default."""
    workspace_bytes: int | None
    """The memory that a layer may use beyond its tensors; None for the compiler's default."""
    hardware_compatibility: str
    """One of pipeline.engines.options.HARDWARE_COMPATIBILITIES."""
    version_compatible: bool
    """Whether later versions of the runtime can load the engine."""
    weights_stripped: bool
    """Whether the weights are left out of the engine."""
    detailed: bool
    """Whether the engine tells profilers about every layer."""
    timing_cache: str
    """The path of a file of kernel timings to read and to add to; "" for none."""

    def write(self, path: Path) -> None:
        """Write the job to `path`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read a job that `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended."""

    failure: str = ""
    """Why there is no engine; "" where it was written."""
    errno: int | None = None
    """The system's error number of a failed read or write; None for other failures."""
    node: str = ""
    """The name of the ONNX node that the failure is about; "" where none is known."""
    operator: str = ""
    """The operator of `node`."""
    errors: tuple[str, ...] = ()
    """The errors in TensorRT's log."""
    warnings: tuple[str, ...] = ()
    """The warnings in TensorRT's log."""
    version: str = ""
    """The compiler's version."""
    precisions: Mapping[str, int] | None = None
    """The number of layers that compute in each type; None where there is no engine."""
    activation_bytes: int | None = None
    """The memory for activations of the profile that needs most; None where the log does not say."""
    build_seconds: float = 0.0
    """How long the compiler took."""
    peak_bytes: int = 0
    """The worker's peak memory."""

    def write(self, path: Path) -> None:
        """Write the outcome to `path`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """Read an outcome that `write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values | {"errors": tuple(values["errors"]), "warnings": tuple(values["warnings"])})
