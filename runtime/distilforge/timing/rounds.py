"""Rounds: every subject has its turn at every shape, in another order each time, while the machine is watched."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from distilforge.manifest import Measurement, Steadiness
from distilforge.timing import cores, ratios, steadiness
from distilforge.timing.process import CAN_STOP, Worker, open_workers
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Subject
from distilforge.timing.watch import Watch

# A turn runs a quick subject several times, for so long, since a single run of 2 ms says little
TURN_SECONDS = 0.03
MOST_RUNS = 10
# What others left in the caches costs a quick run a part of its time; a slow one hides it
_QUICK_SECONDS, _SLOW_SECONDS = 0.01, 0.1
# Where stopped processes cannot be had, thread pools spin on for a while
_REST_SECONDS = 0.0 if CAN_STOP else 0.03
SEED = 0
# How often the cores' distance is measured at most
_DISTANCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a timing ends."""

    seconds: float
    """Once the fewest rounds are done, it ends when so long has passed."""
    width: float = 0.05
    """It ends earlier when every ratio's upper end is no further than this share above its lower end."""
    confidence: float = ratios.CONFIDENCE
    """One-sided, of each end of those intervals."""
    most_rounds: int = 200
    """And it ends after so many."""
    patience_seconds: float = 0.0
    """How much longer it may go on while too few rounds had the cores near each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a timing gave."""

    measurements: tuple[Measurement, ...]
    """Every run, a measurement for each subject and each shape that it can take."""
    steadiness: Steadiness
    """Whether anything can be claimed."""
    facts: Mapping[tuple[str, Shape], Mapping[str, Json]] = field(default_factory=dict)
    """What subjects said besides, by subject and shape."""
    refused: Mapping[tuple[str, Shape], str] = field(default_factory=dict)
    """Why a subject cannot take a shape."""

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """That any subject was timed at."""
        return tuple(
            dict.fromkeys(Shape(batch=taken.batch, tokens=taken.tokens) for taken in self.measurements)
        )

    def ratio(
        self, subject: str, over: str, *, shapes: Sequence[Shape] = (), confidence: float = ratios.CONFIDENCE
    ) -> Estimate | None:
        """How many times as fast `subject` is as `over` (distilforge.timing.ratios)."""
        return ratios.ratio(
            self.measurements,
            subject,
            over,
            shapes=shapes,
            confidence=confidence,
            apart=self.steadiness.apart,
        )

    def seconds(
        self, subject: str, shape: Shape, *, confidence: float = ratios.CONFIDENCE
    ) -> Estimate | None:
        """Seconds of a run; None where the subject was not timed at the shape."""
        taken = ratios.by_shape(self.measurements, subject).get(shape)
        if taken is None:
            return None
        return ratios.seconds(taken, confidence=confidence, apart=self.steadiness.apart)


def time_subjects(
    subjects: Sequence[Subject],
    shapes: Sequence[Shape],
    budget: Budget,
    *,
    progress: Callable[[str], None],
    each_round: Callable[[str], None] = lambda line: None,
) -> Timing:
    """Open `subjects`, each in a process of its own, and time them; an unsteady timing is repeated once.

    Ratios are those of every subject over the first. `progress` hears of a repetition, `each_round` gets a line a
    round. Raises TimingError where a subject does not open or dies.
    """
    with open_workers(subjects) as workers:
        timing = time_in_rounds(workers, shapes, budget, progress=each_round)
        if not timing.steadiness.steady:
            progress(f"timing once more, since {'; '.join(timing.steadiness.reasons)}")
            timing = time_in_rounds(workers, shapes, budget, progress=each_round)
    return timing


def time_in_rounds(
    workers: Sequence[Worker],
    shapes: Sequence[Shape],
    budget: Budget,
    *,
    progress: Callable[[str], None] = lambda line: None,
) -> Timing:
    """Time `workers` at `shapes` until `budget` is spent, once.

    A round goes through the shapes, and at each through the subjects, both in an order of its own, so that no subject
    meets the machine in one state alone. `progress` gets a line a round.
    """
    turns = [_Turns(worker, shape) for shape in shapes for worker in workers]
    able = [each for each in turns if not each.refused]
    watch = Watch([worker.pid for worker in workers])
    distance = _Distance()
    shuffle = np.random.default_rng(SEED)
    fewest = ratios.fewest_rounds(budget.confidence)
    start = time.monotonic()
    for number in range(1, budget.most_rounds + 1):
        distance.begin_round()
        for place in _shuffled(able, shuffle):
            able[place].take()
            watch.look()
        distance.end_round()
        passed = time.monotonic() - start
        progress(f"round {number}, after {passed:.0f} of at most {budget.seconds:.0f} s")
        if number >= fewest and _is_enough(budget, passed, able, distance.round_trips):
            break
    watch.look(last=True)
    measurements = tuple(each.measurement for each in able)
    return Timing(
        measurements=measurements,
        steadiness=steadiness.judge(watch.windows, measurements, distance.round_trips, budget.confidence),
        facts={each.key: each.facts for each in able},
        refused={each.key: each.refused for each in turns if each.refused},
    )


class _Turns:
    """The turns of one subject at one shape."""

    def __init__(self, worker: Worker, shape: Shape) -> None:
        """Warm the subject up at the shape, and see how long a run takes and whether it takes the shape at all."""
        first = worker.run(shape, settle=True, warm_ups=0, runs=1)
        self.key = worker.name, shape
        self.shape = shape
        self.refused = first.refused
        self.facts = first.facts
        self._worker = worker
        self._taken: list[tuple[float, ...]] = []
        if not first.refused:
            seconds = first.seconds[0]
            self._runs = max(1, min(MOST_RUNS, int(TURN_SECONDS / seconds)))
            self._warm_ups = 2 if seconds < _QUICK_SECONDS else int(seconds < _SLOW_SECONDS)

    def take(self) -> None:
        """One turn."""
        time.sleep(_REST_SECONDS)
        reply = self._worker.run(self.shape, settle=False, warm_ups=self._warm_ups, runs=self._runs)
        self._taken.append(reply.seconds)
        self.facts = reply.facts

    @property
    def measurement(self) -> Measurement:
        """Every run so far."""
        return Measurement(
            subject=self._worker.name,
            batch=self.shape.batch,
            tokens=self.shape.tokens,
            seconds=tuple(chain.from_iterable(self._taken)),
            runs=tuple(map(len, self._taken)),
        )


class _Distance:
    """The cores' distance around each round, measured now and then."""

    def __init__(self) -> None:
        self.round_trips: list[float | None] = []
        self._at = -math.inf
        self._last: float | None = None
        self._before: float | None = None

    def begin_round(self) -> None:
        self._before = self._measured()

    def end_round(self) -> None:
        after = self._measured()
        self.round_trips.append(None if self._before is None or after is None else max(self._before, after))

    def _measured(self) -> float | None:
        if time.monotonic() - self._at >= _DISTANCE_SECONDS:
            self._last = cores.round_trip()
            self._at = time.monotonic()
        return self._last


def _shuffled(turns: Sequence[_Turns], shuffle: np.random.Generator) -> Iterator[int]:
    """Places in `turns`: the shapes in a new order, and at each the subjects in a new order."""
    shapes = tuple(dict.fromkeys(each.shape for each in turns))
    for chosen in shuffle.permutation(len(shapes)):
        places = [place for place, each in enumerate(turns) if each.shape == shapes[chosen]]
        yield from shuffle.permutation(places)


def _is_enough(
    budget: Budget, passed: float, turns: Sequence[_Turns], round_trips: Sequence[float | None]
) -> bool:
    if not turns:
        return True
    near = steadiness.near_rounds(round_trips)
    if near is not None and near < ratios.fewest_rounds(budget.confidence):
        return passed >= budget.seconds + budget.patience_seconds
    if passed >= budget.seconds:
        return True
    measurements = [each.measurement for each in turns]
    first, *others = dict.fromkeys(taken.subject for taken in measurements)
    compared = (
        ratios.ratio(measurements, subject, first, confidence=budget.confidence) for subject in others
    )
    return bool(others) and all(ratio is None or ratio.width <= budget.width for ratio in compared)
