"""Watching this machine: a process that takes a core is seen. How quiet the machine is otherwise is not asserted."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from distilforge.timing.watch import WINDOW_SECONDS, Watch, Window

HOG = [sys.executable, "-c", "while True: pass"]

pytestmark = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc/stat")


def watched(hog: subprocess.Popen[bytes], *, as_subject: bool) -> Window:
    """A second beside `hog`."""
    try:
        watch = Watch([hog.pid] if as_subject else [])
        # Only Linux's own clock ticks lie between: 10 ms in a second
        time.sleep(WINDOW_SECONDS + 0.05)
        watch.look()
    finally:
        hog.kill()
        hog.wait()
    (window,) = watch.windows
    return window


def test_a_process_that_takes_a_core_is_told_from_a_subject_that_does() -> None:
    as_other = watched(subprocess.Popen(HOG), as_subject=False)
    assert as_other.others_cores is not None
    # Alone it takes a whole core; beside the rest of a test run at least half of one of two
    assert as_other.others_cores > 0.5
    as_subject = watched(subprocess.Popen(HOG), as_subject=True)
    assert as_subject.others_cores is not None
    assert as_subject.interruptions is not None
    assert as_subject.interruptions >= 0


def test_a_window_is_a_second_and_a_shorter_timing_has_one_of_its_own() -> None:
    watch = Watch([])
    watch.look()
    early = watch.windows
    assert early == ()
    time.sleep(0.05)
    watch.look(last=True)
    (window,) = watch.windows
    assert 0.05 <= window.seconds < WINDOW_SECONDS
    # Longer ones need no such remainder
    watch.look(last=True)
    assert len(watch.windows) == 1
