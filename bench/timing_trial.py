"""A trial of the timing engine on subjects whose ratio is known: `python -m bench.timing_trial --runs 100`.

Two subjects take 6 and 4 ms with lognormal noise, so the true ratio of their medians is 1.5. The trial counts the runs
whose interval of the ratio contains it. With `--hog`, processes that use every core start in the middle of each run;
the trial then counts the runs that are steady, which should be none.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from distilforge.timing.process import open_workers
from distilforge.timing.rounds import Budget, Timing, time_in_rounds
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject

OPENER = "bench.timing_trial:open_sleeper"
MILLISECONDS = {"slow": 6.0, "quick": 4.0}
RATIO = MILLISECONDS["slow"] / MILLISECONDS["quick"]
# Standard deviation of the logarithm of a run's time
NOISE = 0.05
SHAPES = (Shape(batch=1, tokens=16), Shape(batch=1, tokens=32))
# Each end of the interval, one-sided: both ends together are wrong in at most 5% of runs
CONFIDENCE = 0.975
# A sleep ends late by less than this, so it ends this much early and a loop waits for the rest
_ACTIVE_SECONDS = 0.0003


class Sleeper(Runner):
    """Takes a known time with noise: it sleeps, and spends the last 0.3 ms in a loop."""

    def __init__(self, milliseconds: float) -> None:
        self._seconds = milliseconds / 1000
        self._tokens = SHAPES[0].tokens
        self._random = np.random.default_rng()

    def feed(self, shape: Shape) -> None:
        self._tokens = shape.tokens

    def run(self) -> None:
        seconds = self._seconds * self._tokens / SHAPES[0].tokens * self._random.lognormal(0.0, NOISE)
        end = time.perf_counter() + seconds
        time.sleep(max(0.0, seconds - _ACTIVE_SECONDS))
        while time.perf_counter() < end:
            pass


def open_sleeper(milliseconds: float) -> Sleeper:
    """The opener of a subject whose runs take about `milliseconds` at the smallest shape."""
    return Sleeper(milliseconds)


def trial(seconds: float, *, hog: bool) -> Timing:
    """Time both subjects once for `seconds`; with `hog`, every core is busy from the middle on."""
    subjects = [
        Subject(name=name, opener=OPENER, arguments={"milliseconds": milliseconds})
        for name, milliseconds in MILLISECONDS.items()
    ]
    budget = Budget(seconds=seconds, width=0.0, confidence=CONFIDENCE)
    with open_workers(subjects) as workers:
        if not hog:
            return time_in_rounds(workers, SHAPES, budget)
        with _busy_cores(after=seconds / 2):
            return time_in_rounds(workers, SHAPES, budget)


@contextmanager
def _busy_cores(*, after: float) -> Iterator[None]:
    """Keep every core busy from `after` seconds on."""
    hogs: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for _ in os.sched_getaffinity(0):
            hogs.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))

    timer = threading.Timer(after, start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for process in hogs:
            process.kill()
            process.wait()


def main() -> None:
    """Run the trial and print its counts as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.timing_trial", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="number of timings (100)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds of each timing (3)")
    parser.add_argument(
        "--hog", action="store_true", help="keep every core busy from the middle of each timing on"
    )
    options = parser.parse_args()
    inside = steady = 0
    reasons: Counter[str] = Counter()
    ratios = []
    for run in range(1, options.runs + 1):
        timing = trial(options.seconds, hog=options.hog)
        ratio = timing.ratio("quick", "slow", confidence=CONFIDENCE)
        assert ratio is not None
        assert ratio.interval is not None
        low, high = ratio.interval
        inside += low <= RATIO <= high
        steady += timing.steadiness.steady
        # The first words are the kind of the reason, and the others are its numbers
        reasons.update(" ".join(reason.split()[:3]) for reason in timing.steadiness.reasons)
        ratios.append(ratio.value)
        sys.stderr.write(f"\r{run} of {options.runs}: {inside} intervals contain {RATIO:g}, {steady} steady ")
    sys.stderr.write("\n")
    ratios.sort()
    counts = {"runs": options.runs, "inside": inside, "steady": steady, "reasons": dict(reasons)}
    sys.stdout.write(
        json.dumps(counts | {"ratios": [ratios[0], ratios[len(ratios) // 2], ratios[-1]]}) + "\n"
    )


if __name__ == "__main__":
    main()
