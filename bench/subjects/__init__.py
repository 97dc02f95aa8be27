"""The subjects that are timed on a CPU, one per file. A new file is a new subject; nothing else needs an edit.

A subject imports its packages when it is prepared or opened, so a missing package costs only its own row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.contest.base_subject import Answer, BaseSubject
from pipeline.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(BaseSubject):
    """A subject on a CPU."""

    open: Callable[[Path, int], Answer]
    """`open(folder, threads)` reads the files that `prepare` wrote, in the subject's own process."""


subjects: Registry[Subject] = Registry("subject", __name__)
