"""Time subjects in rounds: each has one turn at every shape, in a new order each round, on a watched machine."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

import numpy as np

from distilforge.manifest import Measurement, Steadiness
from distilforge.timing import cores, ratios, steadiness
from distilforge.timing.process import CAN_STOP, Worker, open_workers
from distilforge.timing.ratios import Estimate
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Json, Subject
from distilforge.timing.watch import Watch

# A quick subject runs several times in a turn, because a single run of 2 ms says little
TURN_SECONDS = 0.03
MOST_RUNS = 10
# Caches that another subject filled cost a quick run a large part of its time, and a slow run a small one
_QUICK_SECONDS, _SLOW_SECONDS = 0.01, 0.1
# Where processes cannot be stopped, the thread pools of the last subject spin on for a while
_REST_SECONDS = 0.0 if CAN_STOP else 0.03
SEED = 0
# After how many rounds a timing may end because its intervals are narrow. If it could end after any round, it would
# often end at one whose interval is narrow by chance: in a simulation with 5% noise, one end at 95% then held in 93%
# of runs, and with these in 96%
NARROW_AFTER = (10, 20, 40, 80, 160)
# The distance between the cores is measured at most this often
_DISTANCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a timing ends: not before the fewest rounds that give an interval, unless `most_rounds` is less."""

    seconds: float
    """It ends after this time, warming up not included."""
    width: float = 0.05
    """It ends earlier, after a number of rounds in `NARROW_AFTER`, if the interval of every ratio is at most this wide:
    upper end / lower end - 1."""
    confidence: float = ratios.CONFIDENCE
    """Confidence of each end of those intervals, one-sided."""
    most_rounds: int = 200
    """It ends after this many rounds in any case."""
    patience_seconds: float = 0.0
    """How much longer than `seconds` it may take if the cores shared a cache in too few rounds."""

    def is_spent(
        self, passed: float, measurements: Sequence[Measurement], round_trips: Sequence[float | None]
    ) -> bool:
        """Whether the timing ends after the rounds of `measurements`, which took `passed` seconds.

        `round_trips` are the nanoseconds of a round trip between two cores in each round; None if it was not measured.
        """
        rounds = len(round_trips)
        if not measurements or rounds >= self.most_rounds:
            return True
        fewest = ratios.fewest_rounds(self.confidence)
        if rounds < fewest:
            return False
        near = steadiness.near_rounds(round_trips)
        if near is not None and near < fewest:
            return passed >= self.seconds + self.patience_seconds
        return passed >= self.seconds or (rounds in NARROW_AFTER and self._is_narrow(measurements))

    def _is_narrow(self, measurements: Sequence[Measurement]) -> bool:
        """Whether the ratio of every subject over the first has a narrow interval; False if there is one subject."""
        first, *others = dict.fromkeys(measurement.subject for measurement in measurements)
        comparisons = (
            ratios.ratio(measurements, subject, first, confidence=self.confidence) for subject in others
        )
        return bool(others) and all(ratio is None or ratio.width <= self.width for ratio in comparisons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The result of a timing."""

    measurements: tuple[Measurement, ...]
    """Every run, in one measurement for each subject and each shape that it can take."""
    steadiness: Steadiness
    """Whether the times and ratios may be claimed."""
    facts: Mapping[tuple[str, Shape], Mapping[str, Json]] = field(default_factory=dict)
    """Other facts from the subjects, by subject and shape."""
    refusals: Mapping[tuple[str, Shape], str] = field(default_factory=dict)
    """Why a subject cannot take a shape, by subject and shape."""

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes at which at least one subject was timed."""
        return tuple(
            dict.fromkeys(
                Shape(batch=measurement.batch, tokens=measurement.tokens) for measurement in self.measurements
            )
        )

    def ratio(
        self, subject: str, over: str, *, shapes: Sequence[Shape] = (), confidence: float = ratios.CONFIDENCE
    ) -> Estimate | None:
        """How many times as fast `subject` is as `over`, as `distilforge.timing.ratios.ratio` has it."""
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
        """Seconds of one run; None if the subject was not timed at the shape."""
        measurement = ratios.by_shape(self.measurements, subject).get(shape)
        if measurement is None:
            return None
        return ratios.seconds(measurement, confidence=confidence, apart=self.steadiness.apart)


def time_subjects(
    subjects: Sequence[Subject],
    shapes: Sequence[Shape],
    budget: Budget,
    *,
    progress: Callable[[str], None],
    round_progress: Callable[[str], None] = lambda line: None,
) -> Timing:
    """Open `subjects`, each in a process of its own, and time them as `time_workers` does.

    Raises TimingError if a subject cannot be opened or its process ends.
    """
    with open_workers(subjects) as workers:
        return time_workers(workers, shapes, budget, progress=progress, round_progress=round_progress)


def time_workers(
    workers: Sequence[Worker],
    shapes: Sequence[Shape],
    budget: Budget,
    *,
    progress: Callable[[str], None],
    round_progress: Callable[[str], None] = lambda line: None,
) -> Timing:
    """Time `workers`; repeat the timing once if it is not steady.

    The ratios that the budget waits for are those of each subject over the first. `progress` gets a line if the
    timing is repeated, and `round_progress` gets a line after each round. Raises TimingError if a process ends.
    """
    timing = time_in_rounds(workers, shapes, budget, progress=round_progress)
    if not timing.steadiness.steady:
        progress(f"timing once more, since {'; '.join(timing.steadiness.reasons)}")
        timing = time_in_rounds(workers, shapes, budget, progress=round_progress)
    return timing


def time_in_rounds(
    workers: Sequence[Worker],
    shapes: Sequence[Shape],
    budget: Budget,
    *,
    progress: Callable[[str], None] = lambda line: None,
) -> Timing:
    """Time `workers` at `shapes` until the budget is spent.

    A round goes through the shapes in random order, and through the subjects in random order at each shape, so that
    no subject always meets the machine in the same state. `progress` gets a line after each round.
    """
    turns = [_Turns(worker, shape) for shape in shapes for worker in workers]
    possible = [turn for turn in turns if not turn.refusal]
    watch = Watch([worker.pid for worker in workers])
    distance = _CoreDistance()
    random = np.random.default_rng(SEED)
    start = time.monotonic()
    for number in count(1):
        distance.begin_round()
        for index in _shuffled(possible, random):
            possible[index].take()
            watch.look()
        distance.end_round()
        passed = time.monotonic() - start
        progress(f"round {number}, {passed:.1f} s of {budget.seconds:.3g} s")
        measurements = tuple(turn.measurement for turn in possible)
        if budget.is_spent(passed, measurements, distance.round_trips):
            break
    watch.look(last=True)
    return Timing(
        measurements=measurements,
        steadiness=steadiness.judge(watch.windows, measurements, distance.round_trips, budget.confidence),
        facts={turn.key: turn.facts for turn in possible},
        refusals={turn.key: turn.refusal for turn in turns if turn.refusal},
    )


class _Turns:
    """The turns of one subject at one shape."""

    def __init__(self, worker: Worker, shape: Shape) -> None:
        """Warm the subject up at the shape, and measure how many runs make a turn."""
        first = worker.run(shape, settle=True, warm_ups=0, runs=1)
        self.key = worker.name, shape
        self.shape = shape
        self.refusal = first.refusal
        self.facts = first.facts
        self._worker = worker
        self._seconds: list[tuple[float, ...]] = []
        if not first.refusal:
            seconds = first.seconds[0]
            self._runs = max(1, min(MOST_RUNS, int(TURN_SECONDS / seconds)))
            self._warm_ups = 2 if seconds < _QUICK_SECONDS else int(seconds < _SLOW_SECONDS)

    def take(self) -> None:
        """Take one turn."""
        time.sleep(_REST_SECONDS)
        reply = self._worker.run(self.shape, settle=False, warm_ups=self._warm_ups, runs=self._runs)
        self._seconds.append(reply.seconds)
        self.facts = reply.facts

    @property
    def measurement(self) -> Measurement:
        """Every run so far."""
        return Measurement(
            subject=self._worker.name,
            batch=self.shape.batch,
            tokens=self.shape.tokens,
            seconds=tuple(chain.from_iterable(self._seconds)),
            runs=tuple(map(len, self._seconds)),
        )


class _CoreDistance:
    """The round trip between two cores before and after each round; the longer one counts for the round."""

    def __init__(self) -> None:
        self.round_trips: list[float | None] = []
        """Nanoseconds for each round; None where it cannot be measured."""
        self._measured_at = -math.inf
        self._latest: float | None = None
        self._before: float | None = None

    def begin_round(self) -> None:
        self._before = self._round_trip()

    def end_round(self) -> None:
        after = self._round_trip()
        self.round_trips.append(None if self._before is None or after is None else max(self._before, after))

    def _round_trip(self) -> float | None:
        if time.monotonic() - self._measured_at >= _DISTANCE_SECONDS:
            self._latest = cores.round_trip_nanoseconds()
            self._measured_at = time.monotonic()
        return self._latest


def _shuffled(turns: Sequence[_Turns], random: np.random.Generator) -> Iterator[int]:
    """Indices of `turns`: the shapes in random order, and at each shape the subjects in random order."""
    shapes = tuple(dict.fromkeys(turn.shape for turn in turns))
    for number in random.permutation(len(shapes)):
        yield from random.permutation(
            [index for index, turn in enumerate(turns) if turn.shape == shapes[number]]
        )
