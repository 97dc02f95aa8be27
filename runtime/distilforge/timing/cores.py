"""How long a message takes from one core to another and back: `python -m distilforge.timing.cores` prints nanoseconds.

A hypervisor moves virtual cores between groups of real cores that share a cache. While two virtual cores are in
different groups, what one writes and the other reads travels several times as long, and subjects that pass large
values between operations are slower.
"""

import mmap
import os
import subprocess
import sys
import time

from distilforge.timing.environment import child_environment

# As a multiple of the shortest round trip of a timing. Cores without a common cache were observed at twice as much
NEAR_FACTOR = 1.8
_CHUNKS, _TRIPS, _PAUSES = 300, 40, 13


def round_trip_nanoseconds() -> float | None:
    """Nanoseconds of a round trip between the first two cores of this process, the interpreter's time included.

    None if the process has only one core, or if the system does not say which cores it has.
    """
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    command = (sys.executable, "-m", "distilforge.timing.cores")
    finished = subprocess.run(  # noqa: S603 - this module
        command, stdout=subprocess.PIPE, text=True, check=True, env=child_environment()
    )
    return float(finished.stdout)


def is_near(trip: float, shortest: float) -> bool:
    """Whether the two cores share a cache, if `shortest` is the shortest round trip of the same timing."""
    return trip <= NEAR_FACTOR * shortest


def _measure() -> float:
    """Nanoseconds of a round trip: the fifth percentile over many short chunks of them.

    A low percentile, because other work on a core only ever makes a round trip longer. Two loops that wait for each
    other may fall into step, so that each looks just too early and every round trip takes one more turn of both
    loops. The pause before each chunk, which varies in length, breaks the step.
    """
    first, second = sorted(os.sched_getaffinity(0))[:2]
    trips = []
    with mmap.mmap(-1, mmap.PAGESIZE) as shared:
        child = os.fork()
        os.sched_setaffinity(0, {first if child else second})
        if child == 0:
            for _ in range(_CHUNKS * _TRIPS):
                while not shared[0]:
                    pass
                shared[0] = 0
            os._exit(0)
        for chunk in range(_CHUNKS):
            for _ in range(chunk % _PAUSES):
                pass
            start = time.perf_counter()
            for _ in range(_TRIPS):
                shared[0] = 1
                while shared[0]:
                    pass
            trips.append((time.perf_counter() - start) / _TRIPS)
        os.waitpid(child, 0)
    return 1e9 * sorted(trips)[_CHUNKS // 20]


if __name__ == "__main__":
    sys.stdout.write(f"{_measure():.0f}\n")
