"""The rows of a comparison, timed together: one that cannot be opened, or dies, costs its own row and no other."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from distilforge.errors import TimingError
from distilforge.timing.process import Worker
from distilforge.timing.rounds import Budget, Timing, time_in_rounds
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

from bench.ratios import CONFIDENCE

WIDTH = 0.03
MOST_ROUNDS = 60
# How much longer than a shape's time a timing may take until the cores were near each other for long enough
PATIENCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A subject that was made ready."""

    name: str
    """What tables call it."""
    subject: str
    """The name of its file in `bench.subjects` or `bench.gpu.subjects`."""
    source: str
    """The folder or file that it opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A row that is not there."""

    name: str
    """What tables would call it."""
    reason: str
    """Why it is not there."""


def budget(seconds: float, shapes: Sequence[Shape]) -> Budget:
    """When a timing ends that has `seconds` for each of `shapes`."""
    return Budget(
        seconds=seconds * len(shapes),
        width=WIDTH,
        confidence=CONFIDENCE,
        most_rounds=MOST_ROUNDS,
        patience_seconds=PATIENCE * seconds,
    )


def time_rows(
    subjects: Sequence[Subject],
    shapes: Sequence[Shape],
    seconds: float,
    *,
    progress: Callable[[str], None],
) -> tuple[Timing, tuple[Absent, ...]]:
    """The timing of those of `subjects` that open and live through it, and why the others do not.

    Where one dies, the rest are timed from the beginning: their rounds must be the same ones.
    """
    absent: list[Absent] = []
    with ExitStack() as stack:
        workers: list[Worker] = []
        for subject in subjects:
            progress(f"opening {subject.name}")
            try:
                workers.append(stack.enter_context(Worker(subject)))
            except TimingError as error:
                progress(f"without {subject.name}: {error}")
                absent.append(Absent(name=subject.name, reason=str(error)))
        while True:
            try:
                timing = time_in_rounds(workers, shapes, budget(seconds, shapes), progress=progress)
            except TimingError as error:
                dead = [worker for worker in workers if not worker.is_alive]
                if not dead:
                    raise
                progress(f"once more from the beginning: {error}")
                absent += [Absent(name=worker.name, reason=str(error)) for worker in dead]
                workers = [worker for worker in workers if worker.is_alive]
            else:
                return timing, tuple(absent)
