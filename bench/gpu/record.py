"""A report of a GPU as JSON, with every sample, so that anyone can compute other statistics from it."""

import json
from dataclasses import asdict

from bench.gpu.report import GpuReport
from bench.record import ratios, timing


def to_json(report: GpuReport) -> str:
    """Conditions, samples in seconds by round, memory, ratios and limits."""
    values = {
        "conditions": dict(report.conditions),
        "settings": dict(report.settings),
        **timing(report.timing),
        "memory_bytes": [
            {"subject": column, "shape": str(shape), **asdict(held)}
            for (column, shape), held in report.memory.items()
        ],
        "largest_difference_from_eager": dict(report.differences),
        "absent": [asdict(row) for row in report.absent],
        "ours": report.ours,
        "ratios": ratios(report.against),
        "ceiling_operations_per_second": report.ceiling,
        "wanted": [{**asdict(limit), "met": bool(limit)} for limit in report.wanted],
    }
    return json.dumps(values, indent=1) + "\n"
