"""What the build and its worker tell each other, as JSON files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# Begins a line of the worker's output that is meant for the user; other lines come from TensorRT's own printing
PROGRESS = "progress: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One engine to compile; the profiles are [low, usual, high] by axis."""

    target: str
    graph: str
    output: str
    profiles: tuple[Mapping[str, tuple[int, int, int]], ...]
    capabilities: tuple[str, ...]
    tf32: bool
    optimization_level: int | None
    workspace_bytes: int | None
    hardware_compatibility: str
    version_compatible: bool
    weights_stripped: bool
    detailed: bool
    timing_cache: str

    def write(self, path: Path) -> None:
        """Write the job to `path`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        """The job that `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went: `failure` is "" where the engine was written, and otherwise what stopped it.

    node, operator: the ONNX node that an error names. errors: TensorRT's own. errno: of a failed read or write.
    """

    failure: str = ""
    errno: int | None = None
    node: str = ""
    operator: str = ""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    version: str = ""
    precisions: Mapping[str, int] | None = None
    activation_bytes: int | None = None
    build_seconds: float = 0.0
    peak_bytes: int = 0

    def write(self, path: Path) -> None:
        """Write the outcome to `path`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """The outcome that `write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values | {"errors": tuple(values["errors"]), "warnings": tuple(values["warnings"])})
