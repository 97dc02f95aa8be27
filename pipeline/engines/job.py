"""The messages between a build and its worker, as JSON files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge.manifest.document import READER

from pipeline.engines.options import EngineOptions

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
    options: EngineOptions
    """How to compile it; the profiles follow from the options and the recipe's spans."""

    def write(self, path: Path) -> None:
        """Write the job to `path`."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read a job that `write` wrote."""
        return READER.read_json(cls, path.read_text(encoding="utf-8"), str(path))


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
        return READER.read_json(cls, path.read_text(encoding="utf-8"), str(path))
