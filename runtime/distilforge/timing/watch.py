"""The machine while it is timed: who else takes its cores, how often subjects are interrupted, how fast it clocks.

Linux tells all of it in /proc and /sys. Where a figure cannot be read it is None, and nothing is concluded from it.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# The kernel counts processor time in ticks of 10 ms: over a second, two cores' ticks are 1% apart
WINDOW_SECONDS = 1.0
_PROC = Path("/proc")
_FREQUENCIES = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
# Columns of a cpu line in /proc/stat (proc(5)): user, nice, system, irq, softirq; guests are part of user
_BUSY = (0, 1, 2, 5, 6)
_STEAL = 7
# Fields of /proc/PID/stat behind the command's closing bracket: utime and stime
_OWN = (11, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was seen over about a second of a timing."""

    seconds: float
    """How long it was."""
    others_cores: float | None = None
    """Processor seconds a second that went to anything but this process and the subjects."""
    stolen_cores: float | None = None
    """Processor seconds a second that the hypervisor gave to other machines while this one had work."""
    interruptions: float | None = None
    """How often a second a thread of a subject was made to give its core away (involuntary context switches)."""
    megahertz: float | None = None
    """The mean clock of the cores, at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counters:
    """Everything that is counted, at one moment."""

    at: float
    busy: float | None
    stolen: float | None
    own: float | None
    interruptions: int | None


class Watch:
    """Looks at the machine between turns; `pids` are the subjects' processes."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = tuple(pids)
        self._windows: list[Window] = []
        self._last = self._count()

    @property
    def windows(self) -> tuple[Window, ...]:
        """All that was seen, in order."""
        return tuple(self._windows)

    def look(self, *, last: bool = False) -> None:
        """Close the window where it is a second old, or where it is the last."""
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
        # Ticks are counted, own time is measured: a difference below zero is rounding
        others_cores=None if busy is None or own is None else max(0.0, busy - own),
        stolen_cores=rate(before.stolen, after.stolen),
        interruptions=rate(before.interruptions, after.interruptions),
        megahertz=_megahertz(),
    )


def _machine() -> tuple[float | None, float | None]:
    """Processor seconds that the cores of this process were busy, and that were stolen from them, since the start."""
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
    """Processor seconds of this process, of its children that ended, and of the subjects."""
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
    """Involuntary context switches of every thread of the subjects."""
    total = 0
    for pid in pids:
        counts = list(_switches(pid))
        if not counts:
            return None
        total += sum(counts)
    return total


def _switches(pid: int) -> Iterator[int]:
    for status in (_PROC / str(pid) / "task").glob("*/status"):
        try:
            text = status.read_text(encoding="utf-8")
        except OSError:
            continue  # a thread that ended in between
        for line in text.splitlines():
            if line.startswith("nonvoluntary_ctxt_switches:"):
                yield int(line.split()[1])


def _megahertz() -> float | None:
    """The mean clock of the cores that this process may use, where the system tells the present one."""
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
