"""Judge whether a timing is steady: compare what the watch recorded with the limits of a quiet machine."""

from collections.abc import Callable, Sequence

import numpy as np

from distilforge.affinity import available_cores
from distilforge.manifest import Measurement, Steadiness
from distilforge.timing.cores import is_near
from distilforge.timing.ratios import fewest_rounds, round_medians
from distilforge.timing.watch import Window

# Processor seconds per second. Housekeeping takes less than a tenth of a core on a quiet machine, and up to a fiftieth
# of all cores if there are many
OTHERS_CORES_LIMIT = 0.2
OTHERS_SHARE_LIMIT = 0.02
# Processor seconds per second. On shared hosts a few hundredths are always gone; a fifth of a core slows one thread in
# one of five rounds
STOLEN_CORES_LIMIT = 0.2
# Per second, over all threads of the subjects. Alone they are interrupted ten to forty times: the timing process itself
# wakes at the end of each turn, while the subject's thread pool still waits actively. Beside a process that wants the
# core it is two hundred times and more
INTERRUPTIONS_LIMIT = 150.0
# Highest clock / lowest clock - 1
CLOCK_CHANGE_LIMIT = 0.15
# Interquartile range of a subject's rounds / their median. It is the largest of all subjects and shapes, and 22% on a
# quiet machine; ratios are taken round by round, so a machine that slows down for a while changes them far less
SPREAD_LIMIT = 0.4
# Share of the time. Medians of rounds are robust against this much disturbance
DISTURBED_SHARE_LIMIT = 0.2


def judge(
    windows: Sequence[Window],
    measurements: Sequence[Measurement],
    round_trips: Sequence[float | None],
    confidence: float,
) -> Steadiness:
    """Whether the timing is steady, with the reasons if it is not.

    `windows` are what the watch recorded, and `round_trips` the nanoseconds of a round trip between two cores in each
    round of `measurements`, None if it was not measured. `confidence` is that of the intervals that will be computed;
    it says how many rounds must remain.
    """
    rounds = max((len(measurement.rounds) for measurement in measurements), default=0)
    apart, too_few_near = _apart(round_trips, confidence)
    spread, widest = _spread(measurements, apart)
    clocks = [window.megahertz for window in windows if window.megahertz is not None]
    trips = [trip for trip in round_trips if trip is not None]
    reasons = [
        *_disturbed(
            windows,
            lambda window: window.others_cores,
            max(OTHERS_CORES_LIMIT, OTHERS_SHARE_LIMIT * len(available_cores())),
            "other processes took {:.1f} cores",
        ),
        *_disturbed(
            windows,
            lambda window: window.stolen_cores,
            STOLEN_CORES_LIMIT,
            "the host took {:.1f} cores away",
        ),
        *_disturbed(
            windows,
            lambda window: window.interruptions,
            INTERRUPTIONS_LIMIT,
            "subjects were interrupted {:.0f} times a second",
        ),
    ]
    if not windows:
        reasons.append("it was too short to watch the machine")
    if clocks and max(clocks) > (1 + CLOCK_CHANGE_LIMIT) * min(clocks):
        reasons.append(f"the cores' clock went from {min(clocks):.0f} to {max(clocks):.0f} MHz")
    if spread > SPREAD_LIMIT:
        reasons.append(
            f"the rounds of {widest} differ by {spread:.0%} (interquartile range / median; at most {SPREAD_LIMIT:.0%})"
        )
    if too_few_near:
        near = near_rounds(round_trips)
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


def near_rounds(round_trips: Sequence[float | None]) -> int | None:
    """In how many rounds the two cores shared a cache; None if no round trip was measured.

    A round without a measurement counts as near.
    """
    trips = [trip for trip in round_trips if trip is not None]
    if not trips:
        return None
    return sum(trip is None or is_near(trip, min(trips)) for trip in round_trips)


def _disturbed(
    windows: Sequence[Window], figure: Callable[[Window], float | None], limit: float, words: str
) -> list[str]:
    """A reason if the figure was above `limit` for more of the time than DISTURBED_SHARE_LIMIT."""
    figures = [(value, window.seconds) for window in windows if (value := figure(window)) is not None]
    total_seconds = sum(seconds for _, seconds in figures)
    above = [(value, seconds) for value, seconds in figures if value > limit]
    above_seconds = sum(seconds for _, seconds in above)
    if not total_seconds or above_seconds <= DISTURBED_SHARE_LIMIT * total_seconds:
        return []
    mean = sum(value * seconds for value, seconds in above) / above_seconds
    return [
        f"{words.format(mean)} for {above_seconds:.0f} of {total_seconds:.0f} s (quiet is at most {limit:g})"
    ]


def _apart(round_trips: Sequence[float | None], confidence: float) -> tuple[tuple[int, ...], bool]:
    """Indices of the rounds to leave out, and whether too few rounds would remain; then none is left out."""
    near = near_rounds(round_trips)
    if near is None or near == len(round_trips):
        return (), False
    if near < fewest_rounds(confidence):
        return (), True
    shortest = min(trip for trip in round_trips if trip is not None)
    return (
        tuple(
            index
            for index, trip in enumerate(round_trips)
            if trip is not None and not is_near(trip, shortest)
        ),
        False,
    )


def _spread(measurements: Sequence[Measurement], apart: Sequence[int]) -> tuple[float, str]:
    """The largest interquartile range / median of any subject's rounds, and which subject at which shape has it."""
    spreads = []
    for measurement in measurements:
        low, middle, high = np.quantile(round_medians(measurement, apart=apart), (0.25, 0.5, 0.75))
        where = f"{measurement.subject} at {measurement.batch}x{measurement.tokens}"
        spreads.append((float((high - low) / middle), where))
    return max(spreads, default=(0.0, ""))


def _mean(windows: Sequence[Window], figure: Callable[[Window], float | None]) -> float | None:
    """The figure's mean over time; None if the system does not provide it."""
    figures = [(value, window.seconds) for window in windows if (value := figure(window)) is not None]
    if not figures:
        return None
    return sum(value * seconds for value, seconds in figures) / sum(seconds for _, seconds in figures)
