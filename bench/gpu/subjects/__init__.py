"""The subjects that are timed on a GPU, one per file. A new file is a new subject; nothing else needs an edit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.contest.base_subject import BaseSubject
from bench.gpu.runner import GpuRunner
from pipeline.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(BaseSubject):
    """A subject on a GPU, which is a column of the tables."""

    clock: str
    """How its runs are timed, for readers."""
    open: Callable[[Path], GpuRunner]
    """`open(folder)` reads the files that `prepare` wrote, in the subject's own process."""
    engine: bool = False
    """Whether it is a TensorRT engine of this project."""

    @property
    def description(self) -> str:
        """The settings and the clock."""
        return f"{self.settings}; {self.clock}"


subjects: Registry[Subject] = Registry("subject on a GPU", __name__)
