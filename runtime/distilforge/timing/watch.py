"""Watch the machine during a timing: what else uses its cores, how often subjects are interrupted, and its clock.

Linux has all of these figures in /proc and /sys. A figure that cannot be read is None, and nothing is concluded from
it.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# The kernel counts processor time in ticks of 10 ms, which is 1% of a second
WINDOW_SECONDS = 1.0
_PROC = Path("/proc")
_FREQUENCIES = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
# Columns of a cpu line in /proc/stat (proc(5)): user, which includes guests, nice, system, irq, softirq
_BUSY = (0, 1, 2, 5, 6)
_STEAL = 7
# Fields of /proc/PID/stat after the bracket that closes the command: utime and stime
_OWN = (11, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What the machine did during about a second of a timing."""

    seconds: float
    """The window's length."""
    others_cores: float | None = None
    """Processor seconds per second of everything except this process, its children and the subjects."""
    stolen_cores: float | None = None
    """Processor seconds per second that the hypervisor gave to other machines while this one had work."""
    interruptions: float | None = None
    """Involuntary context switches per second, over all threads of the subjects.

    Whatever makes a thread give up its core counts: another process, this process, or another thread of the subject.
    """
    megahertz: float | None = None
    """The mean clock of the cores at the end of the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counters:
    """Counters at one moment; a window is the difference between two moments."""

    at: float
    """Seconds of the monotonic clock."""
    busy: float | None
    """Processor seconds that the cores of this process were busy."""
    stolen: float | None
    """Processor seconds that the hypervisor took from these cores."""
    own: float | None
    """Processor seconds of this process, its children and the subjects."""
    interruptions: int | None
    """Involuntary context switches of the subjects."""


class Watch:
    """Reads the machine's counters between turns."""

    def __init__(self, pids: Sequence[int]) -> None:
        """Start the first window; `pids` are the subjects' processes."""
        self._pids = tuple(pids)
        self._windows: list[Window] = []
        self._last = self._count()

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows so far, in order."""
        return tuple(self._windows)

    def look(self, *, last: bool = False) -> None:
        """End the window and start the next, if it is at least a second old.

        With `last` a shorter window ends too, if it would be the only one.
        """
        seconds = time.monotonic() - self._last.at
        if seconds < WINDOW_SECONDS and not (last and not self._windows and seconds > 0):
            return
        now = self._count()
        self._windows.append(_between(self._last, now))
        self._last = now

    def _count(self) -> _Counters:
        busy, stolen = _machine()
        return _Counters(
            at=time.monotonic(),
            busy=busy,
            stolen=stolen,
            own=_own(self._pids),
            interruptions=_interruptions(self._pids),
        )


def _between(before: _Counters, after: _Counters) -> Window:
    seconds = after.at - before.at

    def rate(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else (second - first) / seconds

    busy, own = rate(before.busy, after.busy), rate(before.own, after.own)
    return Window(
        seconds=seconds,
        # Both are rounded to ticks, so that the difference may be a little below zero
        others_cores=None if busy is None or own is None else max(0.0, busy - own),
        stolen_cores=rate(before.stolen, after.stolen),
        interruptions=rate(before.interruptions, after.interruptions),
        megahertz=_megahertz(),
    )


def _machine() -> tuple[float | None, float | None]:
    """Processor seconds since boot in which the cores of this process were busy, and which were stolen from them."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    try:
        lines = (_PROC / "stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None, None
    rows = [list(map(int, fields)) for name, *fields in map(str.split, lines) if name in names]
    if not rows or any(len(row) <= _STEAL for row in rows):
        return None, None
    tick = os.sysconf("SC_CLK_TCK")
    return (
        sum(row[column] for row in rows for column in _BUSY) / tick,
        sum(row[_STEAL] for row in rows) / tick,
    )


def _own(pids: Sequence[int]) -> float | None:
    """Processor seconds of this process, of its children that have ended, and of the subjects."""
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    tick = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0
    for pid in pids:
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        own += sum(int(fields[place]) for place in _OWN) / tick
    return own


def _interruptions(pids: Sequence[int]) -> int | None:
    """Involuntary context switches of all threads of the subjects; None if a subject has ended."""
    total = 0
    for pid in pids:
        counts = list(_switches(pid))
        if not counts:
            return None
        total += sum(counts)
    return total


def _switches(pid: int) -> Iterator[int]:
    """The involuntary context switches of each thread of a process."""
    for status in (_PROC / str(pid) / "task").glob("*/status"):
        try:
            text = status.read_text(encoding="utf-8")
        except OSError:
            continue  # the thread has ended
        for line in text.splitlines():
            if line.startswith("nonvoluntary_ctxt_switches:"):
                yield int(line.split()[1])


def _megahertz() -> float | None:
    """The mean clock of the cores that this process may use; None if the system does not have it."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        kilohertz = [
            int(Path(_FREQUENCIES.format(core)).read_text(encoding="utf-8"))
            for core in os.sched_getaffinity(0)
        ]
    except (OSError, ValueError):
        return None
    return sum(kilohertz) / len(kilohertz) / 1000
