"""A report as JSON, with every sample, so that anyone can compute other statistics from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from bench.contest import Contest
from bench.ratios import Ratio
from bench.report import Report


def to_json(report: Report) -> str:
    """Conditions, samples in seconds by turn, ratios, builds in the order made, and limits."""
    values = {
        "conditions": dict(report.conditions),
        "settings": dict(report.settings),
        "samples": samples(report.contest),
        "round_trips_ns": {str(shape): taken for shape, taken in report.contest.round_trips.items()},
        "largest_difference_from_eager": dict(report.differences),
        "absent": [asdict(one) for one in report.absent],
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
        "wanted": [{**asdict(one), "met": bool(one)} for one in report.wanted],
    }
    return json.dumps(values, indent=1) + "\n"


def samples(contest: Contest) -> list[dict[str, object]]:
    """Every sample, turn by turn."""
    return [
        {"subject": one.contestant, "shape": str(one.shape), "seconds_by_turn": one.turns}
        for one in contest.samples
    ]


def ratios(against: Mapping[str, Sequence[Ratio]]) -> list[dict[str, object]]:
    """Every ratio with its interval; the shape of one over all shapes is null."""
    return [
        {
            "opponent": one.opponent,
            "shape": None if one.shape is None else str(one.shape),
            "their_time_over_ours": one.value,
            "interval": one.interval,
        }
        for found in against.values()
        for one in found
    ]
