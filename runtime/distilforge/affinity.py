"""Which cores of this machine are for this process."""

import os


def available_cores() -> tuple[int, ...]:
    """The numbers of the cores that this process may use; all of the machine where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
