"""The subjects that are timed on a GPU, one per file. A new file is a new subject; nothing else needs an edit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.contest.base_subject import BaseSubject
from bench.gpu.runner import GpuRunner
from pipeline.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(BaseSubject):
    """A subject on a GPU, which is a column of the tables."""

    open: Callable[[Path], GpuRunner]
    """`open(folder)` reads the files that `prepare` wrote, in the subject's own process."""
    copies: bool = False
    """Whether a run copies its inputs to the device and its logits back."""
    target: str = ""
    """The target of this project whose variant it opens; "" for others."""

    @property
    def column(self) -> str:
        """The name of the subject that differs from it at most in copies."""
        return self.name.removesuffix(_NAME_WITH_COPIES)

    @property
    def files(self) -> str:
        """What tells the files that it opens from others': subjects that run them in other ways share them."""
        return self.target or self.column

    @property
    def description(self) -> str:
        """The settings, and what a run includes."""
        return f"{self.settings}; {WITH_COPIES if self.copies else ON_DEVICE}"


ON_DEVICE = "wall clock around a run, inputs and outputs on the device"
WITH_COPIES = "wall clock around a run from arrays in host memory to logits in host memory"
COPIES = ", with copies"
"""How the titles of subjects with copies end."""
_NAME_WITH_COPIES = "-copies"


def add_both(subject: Subject, open_runner: Callable[..., GpuRunner]) -> None:
    """Add `subject` with its data on the device, and another with copies to the device and back.

    `open_runner(folder, copies=...)` opens both.
    """
    for copies in (False, True):
        subjects.add(
            replace(
                subject,
                name=subject.name + (_NAME_WITH_COPIES if copies else ""),
                title=subject.title + (COPIES if copies else ""),
                family=subject.family + (COPIES if copies and subject.family else ""),
                open=partial(open_runner, copies=copies),
                copies=copies,
            )
        )


subjects: Registry[Subject] = Registry("subject on a GPU", __name__)
