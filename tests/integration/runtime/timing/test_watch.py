"""The watch sees a process that takes a core. How quiet the machine is otherwise is not asserted."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from distilforge.timing.watch import WINDOW_SECONDS, Watch, Window

BUSY_LOOP = [sys.executable, "-c", "while True: pass"]

pytestmark = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc/stat")


def one_window(*, is_subject: bool) -> Window:
    """A window beside a process that takes a core, which is either a subject or not."""
    with subprocess.Popen(BUSY_LOOP) as busy:
        try:
            watch = Watch([busy.pid] if is_subject else [])
            # The kernel's clock ticks every 10 ms
            time.sleep(WINDOW_SECONDS + 0.05)
            watch.look()
        finally:
            busy.kill()
    (window,) = watch.windows
    return window


def test_a_process_that_takes_a_core_counts_unless_it_is_a_subject() -> None:
    beside, subject = one_window(is_subject=False), one_window(is_subject=True)
    assert beside.others_cores is not None
    # Alone it takes a whole core; beside the rest of a test run at least half of one of two
    assert beside.others_cores > 0.5
    assert beside.interruptions == 0
    assert subject.others_cores is not None
    assert subject.interruptions is not None
    assert subject.interruptions >= 0
