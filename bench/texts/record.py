"""A report on real texts as JSON, with every sample."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from bench.contest.limit import Limit
from bench.tables.record import timing
from bench.texts.run import TextReport


def to_json(report: TextReport, limits: Sequence[Limit]) -> str:
    """Conditions, samples in seconds by round for each head and for the lengths, and the limits."""
    values = {
        "conditions": dict(report.conditions),
        "settings": dict(report.settings),
        "heads": [
            {
                "head": result.head,
                "texts": result.shape.batch,
                "tokens": result.tokens,
                "longest": result.shape.tokens,
                "slots": dict(result.slots),
                **timing(result.timing),
                "absent": [asdict(omission) for omission in result.omissions],
            }
            for result in report.heads
        ],
        "lengths": timing(report.lengths),
        "absent": [asdict(omission) for omission in report.omissions],
        "wanted": [{**asdict(limit), "met": bool(limit)} for limit in limits],
    }
    return json.dumps(values, indent=1) + "\n"
