"""A device is kept busy before its runs are timed."""

import time

import numpy as np
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Logits
from bench.gpu.report import SMALL
from bench.gpu.runner import WARM_RUNS, GpuRunner


class Counter(GpuRunner):
    """Counts how often it runs."""

    runs = 0

    def take(self, ids: Ids, mask: Ids) -> None:
        assert ids.shape == mask.shape

    def run(self) -> None:
        self.runs += 1
        time.sleep(0.001)

    def logits(self) -> Logits:
        return np.zeros((1, 2), dtype=np.float32)


def test_a_device_is_kept_busy_before_runs_unless_it_just_ran() -> None:
    runner = Counter()
    runner.feed(SMALL)
    assert len(runner.seconds(2)) == 2
    # torch.compile needs this many runs to compile, capture and replay
    assert runner.runs - 2 >= WARM_RUNS
    before = runner.runs
    runner.seconds(1)
    # A busy test machine may rest between the two calls for longer than the clocks stay up
    assert runner.runs == before + 1 or runner.runs >= before + 1 + WARM_RUNS
    runner.feed(SMALL)
    before = runner.runs
    runner.seconds(1)
    assert runner.runs >= before + 1 + WARM_RUNS
