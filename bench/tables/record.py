"""A contest as JSON, with every sample, so that anyone can compute other statistics from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from distilforge.timing.rounds import Timing

from bench.contest.contest import Contest
from bench.contest.limit import Limit
from bench.contest.ratios import Ratio


def dump(contest: Contest, limits: Sequence[Limit], measurements: Mapping[str, object]) -> str:
    """JSON with conditions, samples in seconds by round, ratios, `measurements` and `limits`."""
    values = {
        "conditions": dict(contest.conditions),
        "settings": dict(contest.settings),
        **timing(contest.timing),
        "largest_difference_from_eager": dict(contest.differences),
        "absent": [asdict(omission) for omission in contest.omissions],
        "ours": contest.judged,
        "ratios": _ratios(contest.ratios),
        "ceiling_operations_per_second": contest.ceiling,
        **measurements,
        "wanted": [{**asdict(limit), "met": bool(limit)} for limit in limits],
    }
    return json.dumps(values, indent=1) + "\n"


def timing(timing: Timing) -> dict[str, object]:
    """Every sample, every refusal, and what the timing engine saw of the machine."""
    return {
        "steadiness": asdict(timing.steadiness),
        "samples": [
            {
                "subject": measurement.subject,
                "shape": f"{measurement.batch}x{measurement.tokens}",
                "seconds_by_turn": measurement.rounds,
            }
            for measurement in timing.measurements
        ],
        "refused": [
            {"subject": name, "shape": str(shape), "reason": reason}
            for (name, shape), reason in timing.refusals.items()
        ],
    }


def _ratios(ratios: Mapping[str, Sequence[Ratio]]) -> list[dict[str, object]]:
    """Every ratio with its interval; the shape of a mean over all shapes is null."""
    return [
        {
            "opponent": ratio.opponent,
            "shape": None if ratio.shape is None else str(ratio.shape),
            "their_time_over_ours": ratio.value,
            "interval": ratio.estimate.interval,
        }
        for to_opponent in ratios.values()
        for ratio in to_opponent
    ]
