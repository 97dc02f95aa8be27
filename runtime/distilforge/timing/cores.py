"""How long a message takes from one core to another and back: `python -m distilforge.timing.cores` prints nanoseconds.

A hypervisor moves virtual cores between groups that share a cache. While two are in different groups, what one writes
and the other reads travels several times as long, and subjects that keep large values between operations are slower.
"""

import mmap
import os
import subprocess
import sys
import time

from distilforge.timing.environment import inherited

# Of the shortest round trip of a timing; cores without a common cache were seen at twice as much
NEAR = 1.8
_CHUNKS, _TRIPS, _PAUSES = 300, 40, 13


def round_trip() -> float | None:
    """Nanoseconds between the first two cores that this process has, the interpreter's time included.

    None where the process has one core, or the system does not say which it has.
    """
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    command = (sys.executable, "-m", "distilforge.timing.cores")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=inherited())  # noqa: S603 - this module
    return float(done.stdout)


def is_near(trip: float, shortest: float) -> bool:
    """Whether the cores share a cache, judged by the shortest round trip of the same timing."""
    return trip <= NEAR * shortest


def _measure() -> float:
    """The fifth percentile over many short chunks of round trips: whatever else runs on a core only makes them longer.

    Two loops that wait for each other may fall into step, each always looking just too early, and a round trip then
    takes one more turn of both. A pause before each chunk, each of another length, brings them out of it.
    """
    first, second = sorted(os.sched_getaffinity(0))[:2]
    taken = []
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
            taken.append((time.perf_counter() - start) / _TRIPS)
        os.waitpid(child, 0)
    return 1e9 * sorted(taken)[_CHUNKS // 20]


if __name__ == "__main__":
    sys.stdout.write(f"{_measure():.0f}\n")
