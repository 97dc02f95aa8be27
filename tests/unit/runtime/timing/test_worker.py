"""When a subject is warm, with made-up times."""

from collections.abc import Iterator
from itertools import repeat

import pytest
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner
from distilforge.timing.worker import MOST_WARM_RUNS, settle


class Clockwork(Runner):
    """Says that its runs take `times`."""

    def __init__(self, times: Iterator[float]) -> None:
        self._times = times
        self.count = 0

    def feed(self, shape: Shape) -> None:
        pass

    def run(self) -> None:
        pass

    def seconds(self, runs: int) -> tuple[float, ...]:
        self.count += runs
        return tuple(next(self._times) for _ in range(runs))


@pytest.mark.parametrize(
    ("times", "runs"),
    [
        (repeat(1.0), 3),
        (iter((9.0, 5.0, 2.0, 1.05, 1.0, 1.0)), 6),
        # A tenth of the median apart is alike
        (iter((1.0, 1.1, 1.05)), 3),
        (iter(float(2**number) for number in range(100)), MOST_WARM_RUNS),
    ],
)
def test_a_subject_is_warm_once_three_runs_take_the_same_time(times: Iterator[float], runs: int) -> None:
    runner = Clockwork(times)
    settle(runner)
    assert runner.count == runs
