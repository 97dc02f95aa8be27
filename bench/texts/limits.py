"""The limits that this project sets itself on real texts."""

from statistics import geometric_mean

from distilforge.timing.rounds import Timing

from bench.contest.limit import Limit
from bench.contest.ratios import CONFIDENCE
from bench.subjects import subjects
from bench.texts.batches import Order
from bench.texts.run import TextReport, Throughput

RIVAL = "openvino-int8"
"""The subject that the limits compare with."""
_AS_MANY_TIMES: dict[Order, float] = {"arrival": 3.5, "sorted": 1.5}
_WORDS: dict[Order, str] = {"arrival": "as they come", "sorted": "sorted by length"}


def limits(report: TextReport) -> tuple[Limit, ...]:
    """The limits of the first row, against OpenVINO and over the lengths of texts."""
    title = subjects.find(RIVAL).title
    return (
        *(
            Limit(
                what=f"a session over {title} in batches of 32 {_WORDS[order]}, mean of the heads",
                observed=_mean(report, title, order),
                at_least=bound,
            )
            for order, bound in _AS_MANY_TIMES.items()
        ),
        *(
            Limit(what=f"time a token, slowest length over fastest: {name}", observed=observed, at_most=1.15)
            for name, observed in (spreads(report.lengths) or {"nothing was timed": None}).items()
        ),
    )


def spreads(lengths: Timing) -> dict[str, float | None]:
    """The most time of a token at any length over the least, by row; None if a length was not timed."""
    return {
        name: max(times.values()) / min(times.values()) if len(times) == len(lengths.shapes) else None
        for name, times in seconds_per_token(lengths).items()
    }


def seconds_per_token(lengths: Timing) -> dict[str, dict[int, float]]:
    """The median seconds of a token by the tokens of a text, for each row."""
    return {
        name: {
            shape.tokens: time.value / (shape.batch * shape.tokens)
            for shape in lengths.shapes
            if (time := lengths.seconds(name, shape, confidence=CONFIDENCE)) is not None
        }
        for name in dict.fromkeys(measurement.subject for measurement in lengths.measurements)
    }


def _mean(report: TextReport, title: str, order: Order) -> float | None:
    """How many times as fast the first row is as a session; None unless every head has a ratio."""
    found = [_ratio(result, title, order) for result in report.heads]
    known = [ratio for ratio in found if ratio is not None]
    return geometric_mean(known) if known and len(known) == len(found) else None


def _ratio(result: Throughput, title: str, order: Order) -> float | None:
    first, (_, first_order) = next(iter(result.names.items()))
    if first_order != "session":
        return None
    rival = next((name for name, place in result.names.items() if place == (title, order)), None)
    ratio = None if rival is None else result.timing.ratio(first, rival, confidence=CONFIDENCE)
    return None if ratio is None else ratio.value
