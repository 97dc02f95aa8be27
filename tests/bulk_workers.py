"""What worker processes open in tests in place of a release, and whether they have ended."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distilforge.bulk.rows import Answers, Batch
from distilforge.errors import ReleaseError


def batch(first: int, rows: int = 4, text: str = "a text") -> Batch:
    return Batch(first=first, rows=tuple({"text": text} for _ in range(rows)), fraction=0.5)


def answers(batch: Batch, *, errors: int, table: bytes) -> Answers:
    return Answers(
        first=batch.first, rows=len(batch.rows), errors=errors, fraction=batch.fraction, table=table
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Opens a worker that answers with its process's id, and that ends over some batches."""

    marks: Path
    """A folder for marks, one for each time that a process has ended."""
    deadly: tuple[int, ...] = ()
    """The batches, by their first row, over which a process ends."""
    times: int = 100
    """How many processes each of them ends."""
    damaged: bool = False
    """Whether it does not open."""

    def open(self) -> Callable[[Batch], Answers]:
        if self.damaged:
            raise ReleaseError("the release is damaged", hint="publish it again")
        return self._answer

    def failed(self, batch: Batch, reason: str) -> Answers:
        return answers(batch, errors=len(batch.rows), table=reason.encode())

    def _answer(self, batch: Batch) -> Answers:
        before = len(list(self.marks.glob(f"{batch.first}-*")))
        if batch.first in self.deadly and before < self.times:
            (self.marks / f"{batch.first}-{before}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return answers(batch, errors=0, table=str(os.getpid()).encode())


def is_running(process: int) -> bool:
    """Whether there is such a process that has not ended; a parent may not have waited for it yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(process: int) -> None:
    for _ in range(500):
        if not is_running(process):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process} has not ended after 10 seconds")
