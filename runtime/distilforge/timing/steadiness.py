"""Whether a timing is steady: what was seen of the machine, held against what a quiet one shows."""

import os
from collections.abc import Callable, Sequence

import numpy as np

from distilforge.manifest import Measurement, Steadiness
from distilforge.timing.cores import is_near
from distilforge.timing.ratios import fewest_rounds, round_medians
from distilforge.timing.watch import Window

# Processor seconds a second: a quiet machine's housekeeping stays below a tenth of a core. Of many cores it may take
# a fiftieth.
OTHERS_CORES = 0.2
OTHERS_SHARE = 0.02
# On shared hosts a few hundredths are always gone; a fifth of a core slows one thread in five rounds
STOLEN_CORES = 0.2
# A second, of all threads of the subjects. Alone they are interrupted some ten times, beside another process that
# wants the core a hundred times and more.
INTERRUPTIONS = 60.0
# Between the lowest and the highest clock
CLOCK = 0.15
# Interquartile range of a subject's rounds by their median
SPREAD = 0.25
# Medians of rounds bear this share of disturbed windows
DISTURBED = 0.2


def judge(
    windows: Sequence[Window],
    measurements: Sequence[Measurement],
    round_trips: Sequence[float | None],
    confidence: float,
) -> Steadiness:
    """What `windows` and the rounds of `measurements` say; `round_trips` are the nanoseconds of each round's cores."""
    rounds = max((len(taken.rounds) for taken in measurements), default=0)
    apart, mixed = _apart(round_trips, confidence)
    spread, widest = _spread(measurements, apart)
    clocks = [window.megahertz for window in windows if window.megahertz is not None]
    trips = [trip for trip in round_trips if trip is not None]
    others = max(OTHERS_CORES, OTHERS_SHARE * _cores())
    reasons = [
        *_disturbed(windows, lambda window: window.others_cores, others, "other processes took {:.1f} cores"),
        *_disturbed(
            windows, lambda window: window.stolen_cores, STOLEN_CORES, "the host took {:.1f} cores away"
        ),
        *_disturbed(
            windows,
            lambda window: window.interruptions,
            INTERRUPTIONS,
            "subjects were interrupted {:.0f} times a second",
        ),
    ]
    if not windows:
        reasons.append("it was too short to watch the machine")
    if clocks and max(clocks) > (1 + CLOCK) * min(clocks):
        reasons.append(f"the cores' clock went from {min(clocks):.0f} to {max(clocks):.0f} MHz")
    if spread > SPREAD:
        reasons.append(
            f"the rounds of {widest} differ by {spread:.0%} (the middle half, by the median; at most {SPREAD:.0%})"
        )
    if mixed:
        near = rounds - sum(trip is not None and not is_near(trip, min(trips)) for trip in round_trips)
        reasons.append(f"the two cores shared a cache in only {near} of {rounds} rounds")
    return Steadiness(
        steady=not reasons,
        reasons=tuple(reasons),
        rounds=rounds,
        apart=apart,
        spread=spread,
        others_cores=_mean(windows, lambda window: window.others_cores),
        stolen_cores=_mean(windows, lambda window: window.stolen_cores),
        interruptions=_mean(windows, lambda window: window.interruptions),
        megahertz=(min(clocks), max(clocks)) if clocks else None,
        round_trip_nanoseconds=(min(trips), max(trips)) if trips else None,
    )


def _disturbed(
    windows: Sequence[Window], figure: Callable[[Window], float | None], limit: float, words: str
) -> list[str]:
    """A reason where the figure was above `limit` for too much of the time."""
    told = [(value, window.seconds) for window in windows if (value := figure(window)) is not None]
    whole = sum(seconds for _, seconds in told)
    over = [(value, seconds) for value, seconds in told if value > limit]
    lost = sum(seconds for _, seconds in over)
    if not whole or lost <= DISTURBED * whole:
        return []
    mean = sum(value * seconds for value, seconds in over) / lost
    return [f"{words.format(mean)} for {lost:.0f} of {whole:.0f} s (quiet is at most {limit:g})"]


def near_rounds(round_trips: Sequence[float | None]) -> int | None:
    """In how many rounds the cores were near each other; None where that was not measured."""
    trips = [trip for trip in round_trips if trip is not None]
    if not trips:
        return None
    return sum(trip is None or is_near(trip, min(trips)) for trip in round_trips)


def _apart(round_trips: Sequence[float | None], confidence: float) -> tuple[tuple[int, ...], bool]:
    """The rounds to leave out, and whether too few would be left, so that none is left out."""
    near = near_rounds(round_trips)
    if near is None or near == len(round_trips):
        return (), False
    if near < fewest_rounds(confidence):
        return (), True
    shortest = min(trip for trip in round_trips if trip is not None)
    return (
        tuple(
            place
            for place, trip in enumerate(round_trips)
            if trip is not None and not is_near(trip, shortest)
        ),
        False,
    )


def _spread(measurements: Sequence[Measurement], apart: Sequence[int]) -> tuple[float, str]:
    """The largest interquartile range by the median of any subject's rounds, and whose it is."""
    spreads = []
    for taken in measurements:
        low, middle, high = np.quantile(round_medians(taken, apart=apart), (0.25, 0.5, 0.75))
        spreads.append((float((high - low) / middle), f"{taken.subject} at {taken.batch}x{taken.tokens}"))
    return max(spreads, default=(0.0, ""))


def _mean(windows: Sequence[Window], figure: Callable[[Window], float | None]) -> float | None:
    told = [(value, window.seconds) for window in windows if (value := figure(window)) is not None]
    return (
        sum(value * seconds for value, seconds in told) / sum(seconds for _, seconds in told)
        if told
        else None
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
