"""A report on a CPU as JSON."""

from dataclasses import asdict

from bench.cpu.report import Report
from bench.tables.record import dump


def to_json(report: Report) -> str:
    """The contest, the builds in order, the other measurements and the limits."""
    return dump(
        report.contest,
        report.limits,
        {
            "share_of_8x128": asdict(report.shares) if report.shares else None,
            "builds": {
                builder: {
                    "seconds": [cost.seconds for cost in builds.costs],
                    "peak_bytes": [cost.peak_bytes for cost in builds.costs],
                }
                for builder, builds in report.builds.items()
            },
            "int8_bytes": report.int8_bytes,
        },
    )
