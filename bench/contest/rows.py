"""The rows of a benchmark, timed together. A subject that does not open or dies costs only its own row."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from distilforge.errors import TimingError
from distilforge.timing.process import Worker
from distilforge.timing.rounds import Budget, Timing, time_workers
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

from bench.contest.ratios import CONFIDENCE

# The upper end of the interval of a ratio lies at most this share above its lower end
WIDTH = 0.03
MOST_ROUNDS = 60
# As a multiple of the time for one shape
PATIENCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A prepared subject."""

    name: str
    """The name in tables."""
    subject: str
    """The name in the registry `bench.subjects` or `bench.gpu.subjects`."""
    source: str
    """The folder or file that the subject opens."""
    settings: str
    """How the subject is set up."""
    family: str
    """The title under which ratios to this row stand: several presets of one peer, or the row alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """A row that is left out."""

    name: str
    """The name that the row would have in tables."""
    reason: str
    """Why it is left out."""
    tolerated: bool = False
    """Whether a benchmark is complete without it: it needs another machine, or its subject is optional."""


def budget(seconds: float, shapes: Sequence[Shape]) -> Budget:
    """The budget of a timing that may take `seconds` for each of `shapes`."""
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
) -> tuple[Timing, tuple[Omission, ...]]:
    """Time those of `subjects` that open and survive; the others are returned with the reason.

    An unsteady timing is repeated once. If a subject dies, the others are timed from the beginning, because ratios
    compare them within the same rounds.
    """
    omissions: list[Omission] = []
    with ExitStack() as stack:
        workers: list[Worker] = []
        for subject in subjects:
            progress(f"opening {subject.name}")
            try:
                workers.append(stack.enter_context(Worker(subject)))
            except TimingError as error:
                progress(f"leaving out {subject.name}: {error}")
                omissions.append(Omission(name=subject.name, reason=str(error)))
        while True:
            try:
                timing = time_workers(
                    workers, shapes, budget(seconds, shapes), progress=progress, round_progress=progress
                )
            except TimingError as error:
                dead = [worker for worker in workers if not worker.is_alive]
                if not dead:
                    raise
                progress(f"timing again from the beginning: {error}")
                omissions += [Omission(name=worker.name, reason=str(error)) for worker in dead]
                workers = [worker for worker in workers if worker.is_alive]
            else:
                return timing, tuple(omissions)
