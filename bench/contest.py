"""Subjects in turns within one run: each in a process of its own, one at a time, with the others at rest."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.cores import is_near, shortest
from bench.shapes import Shape
from bench.subjects import Logits

WARM_UPS = 2
FEWEST_ROUNDS = 5
# Of a shape's time; each has a round at least
PARTS = FEWEST_ROUNDS
# Thread pools spin on after a run in case another follows; within this they have gone to sleep, and the next
# subject has the processor for itself.
REST_SECONDS = 0.03
# A turn runs a quick subject several times, for so long, since a single run of 2 ms says little.
TURN_SECONDS = 0.03
MOST_RUNS = 10


class WorkerError(Exception):
    """A subject's process ended before it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One row: a subject, and the folder or file that it opens."""

    name: str
    subject: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Seconds of each timed run, and the logits of the last one."""

    seconds: tuple[float, ...]
    logits: Logits


class Worker:
    """A contestant's process, which runs when asked and is stopped otherwise.

    Thread pools wait actively for a while after a run, some for 200 ms: stopped, they take no core from the next.
    """

    def __init__(self, contestant: Contestant, process: subprocess.Popen[str]) -> None:
        self.contestant = contestant
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_open(self) -> None:
        """Return once the subject is loaded; WorkerError where it is not going to be."""
        self._read()
        self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the process."""
        self._process.send_signal(signal.SIGCONT)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()

    def run(self, shape: Shape, *, warm_ups: int, runs: int) -> Reply:
        """Untimed and then timed runs at `shape`, one right after the other."""
        request = {"batch": shape.batch, "tokens": shape.tokens, "warm_ups": warm_ups, "runs": runs}
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._read())
        self._process.send_signal(signal.SIGSTOP)
        return Reply(seconds=tuple(reply["seconds"]), logits=np.asarray(reply["logits"], dtype=np.float32))

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.contestant.name} ended with exit code {self._process.wait()}")
        return line


@contextmanager
def open_worker(contestant: Contestant, threads: int, log: Path) -> Iterator[Worker]:
    """The contestant's process, opened; what it prints is in the file `log`. WorkerError where it ends at once."""
    command = (sys.executable, "-m", "bench.worker", contestant.subject, contestant.source, str(threads))
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - a module of ours
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    worker = Worker(contestant, process)
    try:
        worker.wait_until_open()
        yield worker
    finally:
        worker.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Seconds of one contestant at one shape: a tuple for each of its turns, in the order taken."""

    contestant: str
    shape: Shape
    turns: tuple[tuple[float, ...], ...]

    @property
    def medians(self) -> tuple[float, ...]:
        """The median of each turn: runs of one turn resemble each other, so a turn counts as one sample."""
        return tuple(float(np.median(turn)) for turn in self.turns)

    @property
    def median(self) -> float:
        """Seconds of a run."""
        return float(np.median(self.medians))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Every sample, and what each contestant answered at each shape.

    round_trips: of bench.cores, the longer of those before and after each round; empty where they were not measured.
    """

    samples: tuple[Samples, ...]
    logits: dict[tuple[str, Shape], Logits]
    round_trips: Mapping[Shape, tuple[float, ...]] = field(default_factory=dict)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """In the order timed."""
        return tuple(dict.fromkeys(one.shape for one in self.samples))

    def of(self, contestant: str, shape: Shape) -> Samples:
        """The contestant's samples at a shape; KeyError where it was not timed."""
        for one in self.samples:
            if (one.contestant, one.shape) == (contestant, shape):
                return one
        raise KeyError(f"{contestant} at {shape}")


class _Timed:
    """A shape that is timed in parts, between which other shapes have their turn."""

    def __init__(
        self, workers: Sequence[Worker], shape: Shape, round_trip: Callable[[], float | None]
    ) -> None:
        self.shape = shape
        self.round_trips: list[float] = []
        self._workers, self._round_trip = workers, round_trip
        self._turns: list[list[tuple[float, ...]]] = [[] for _ in workers]
        self._logits: list[Logits] = []

    def go_on(self, seconds: float, most_rounds: int) -> None:
        """As many rounds as fit into `seconds`, between one and `most_rounds`; each in an order of its own."""
        first = [worker.run(self.shape, warm_ups=1, runs=1) for worker in self._workers]
        runs = [max(1, min(MOST_RUNS, int(TURN_SECONDS / reply.seconds[0]))) for reply in first]
        self._logits = [reply.logits for reply in first]
        before = self._round_trip()
        end = time.perf_counter() + seconds
        for done in range(most_rounds):
            if done and time.perf_counter() >= end:
                break
            for index in np.random.default_rng(len(self._turns[0])).permutation(len(self._workers)):
                time.sleep(REST_SECONDS)
                reply = self._workers[index].run(
                    self.shape, warm_ups=WARM_UPS if runs[index] > 1 else 1, runs=runs[index]
                )
                self._turns[index].append(reply.seconds)
            after = self._round_trip()
            if before is not None and after is not None:
                self.round_trips.append(max(before, after))
            before = after

    def samples(self) -> Iterator[Samples]:
        """Of every worker, in their order."""
        for worker, turns in zip(self._workers, self._turns, strict=True):
            yield Samples(contestant=worker.contestant.name, shape=self.shape, turns=tuple(turns))

    def logits(self) -> Iterator[tuple[str, Logits]]:
        """What every worker answered, by its name."""
        for worker, logits in zip(self._workers, self._logits, strict=True):
            yield worker.contestant.name, logits


def time_in_turns(
    workers: Sequence[Worker],
    shapes: Sequence[Shape],
    *,
    seconds: float,
    most_rounds: int,
    round_trip: Callable[[], float | None] = lambda: None,
    patience: float = 0.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Contest:
    """Time every worker at every shape, as many rounds as fit into `seconds` a shape, between 5 and `most_rounds`.

    Shapes take turns too, in five parts, so that none meets the machine in one state alone. `round_trip` is asked
    around each round; shapes with fewer than 5 rounds of near cores are timed on for up to `patience` seconds in all.
    """
    timed = [_Timed(workers, shape, round_trip) for shape in shapes]
    part = seconds / PARTS, max(1, most_rounds // PARTS)
    for number in range(PARTS):
        for each in timed:
            progress(f"timing {each.shape}, part {number + 1} of {PARTS}")
            each.go_on(*part)
    end = time.perf_counter() + patience
    while time.perf_counter() < end and (lacking := _lacking(timed)):
        for each in lacking:
            progress(f"timing {each.shape} once more, since the cores were apart")
            each.go_on(*part)
    return Contest(
        samples=tuple(samples for each in timed for samples in each.samples()),
        logits={(name, each.shape): logits for each in timed for name, logits in each.logits()},
        round_trips={each.shape: tuple(each.round_trips) for each in timed if each.round_trips},
    )


def _lacking(timed: Sequence[_Timed]) -> list[_Timed]:
    """Those with too few rounds of near cores, as far as that was measured."""
    best = shortest(each.round_trips for each in timed)
    if best is None:
        return []
    return [each for each in timed if sum(is_near(trip, best) for trip in each.round_trips) < FEWEST_ROUNDS]


@contextmanager
def open_workers(contestants: Sequence[Contestant], threads: int, logs: Path) -> Iterator[list[Worker]]:
    """All of them; WorkerError where one does not open."""
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_worker(one, threads, logs / f"{number}.log"))
            for number, one in enumerate(contestants)
        ]
