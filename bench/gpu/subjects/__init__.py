"""Columns: what is timed on a GPU, one file here each. A new file is a new column; nothing else needs an edit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.shapes import Ids
from bench.subjects import Logits
from pipeline.registry import Registry
from pipeline.versions import installed


class Runner(Protocol):
    """An opened subject."""

    def feed(self, ids: Ids, mask: Ids) -> None:
        """Take the batch that the next runs answer, and let go of memory that only earlier shapes needed."""

    def time(self, runs: int) -> Sequence[float]:
        """Seconds of each of `runs` runs, one after the other, each waited for."""

    def logits(self) -> Logits:
        """What the last run answered, (batch, labels)."""

    def allocated_bytes(self) -> int | None:
        """The most memory that tensors took since `feed`, as torch counts it; None for others."""


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
    open: Callable[[Path], Runner]
    engine: bool = False

    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed."""
        return tuple(package for package in self.packages if installed(package) is None)


subjects: Registry[Subject] = Registry("column", __name__)
