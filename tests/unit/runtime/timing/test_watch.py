"""When a window of the watch ends."""

import time
from pathlib import Path

import pytest
from distilforge.timing.watch import WINDOW_SECONDS, Watch

pytestmark = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc/stat")


def test_a_window_is_a_second_and_a_shorter_timing_has_one_of_its_own() -> None:
    watch = Watch([])
    watch.look()
    early = watch.windows
    assert early == ()
    time.sleep(0.05)
    watch.look(last=True)
    (window,) = watch.windows
    assert 0.05 <= window.seconds < WINDOW_SECONDS
    # A longer timing needs no such remainder
    watch.look(last=True)
    assert len(watch.windows) == 1
