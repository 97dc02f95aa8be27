"""A report as JSON, with every sample, so that anyone can compute other statistics from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from distilforge.timing.rounds import Timing

from bench.ratios import Ratio
from bench.report import Report


def to_json(report: Report) -> str:
    """Conditions, samples in seconds by round, ratios, builds in the order made, and limits."""
    values = {
        "conditions": dict(report.conditions),
        "settings": dict(report.settings),
        **timing(report.timing),
        "largest_difference_from_eager": dict(report.differences),
        "absent": [asdict(row) for row in report.absent],
        "ours": report.ours,
        "ratios": ratios(report.against),
        "ceiling_operations_per_second": report.ceiling,
        "share_of_8x128": asdict(report.share) if report.share else None,
        "builds": {
            which: {
                "seconds": [cost.seconds for cost in made.costs],
                "peak_bytes": [cost.peak_bytes for cost in made.costs],
            }
            for which, made in report.builds.items()
        },
        "int8_bytes": report.int8_bytes,
        "wanted": [{**asdict(limit), "met": bool(limit)} for limit in report.wanted],
    }
    return json.dumps(values, indent=1) + "\n"


def timing(timing: Timing) -> dict[str, object]:
    """Every sample, what was refused, and what was seen of the machine."""
    return {
        "steadiness": asdict(timing.steadiness),
        "samples": [
            {
                "subject": taken.subject,
                "shape": f"{taken.batch}x{taken.tokens}",
                "seconds_by_turn": taken.rounds,
            }
            for taken in timing.measurements
        ],
        "refused": [
            {"subject": name, "shape": str(shape), "reason": reason}
            for (name, shape), reason in timing.refusals.items()
        ],
    }


def ratios(against: Mapping[str, Sequence[Ratio]]) -> list[dict[str, object]]:
    """Every ratio with its interval; the shape of one over all shapes is null."""
    return [
        {
            "opponent": ratio.opponent,
            "shape": None if ratio.shape is None else str(ratio.shape),
            "their_time_over_ours": ratio.value,
            "interval": ratio.estimate.interval,
        }
        for of_one in against.values()
        for ratio in of_one
    ]
