"""Columns: what is timed on a GPU, one file here each. A new file is a new column; nothing else needs an edit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.gpu.runner import GpuRunner
from pipeline.registry import Registry
from pipeline.store.versions import installed


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One column: what it needs, how it is made from a checkpoint, and how it is opened on the device.

    clock: how its runs are timed, for readers. engine: whether it is this project's TensorRT engine.
    `prepare(checkpoint, folder)` writes what `open(folder)` reads; the two run in different processes.
    """

    name: str
    title: str
    settings: str
    clock: str
    packages: tuple[str, ...]
    prepare: Callable[[Path, Path], None]
    open: Callable[[Path], GpuRunner]
    engine: bool = False

    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed."""
        return tuple(package for package in self.packages if installed(package) is None)


subjects: Registry[Subject] = Registry("column", __name__)
