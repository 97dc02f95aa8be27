"""A report on a GPU as JSON, with every sample, so that anyone can compute other statistics from it."""

from dataclasses import asdict

from bench.gpu.report import GpuReport
from bench.tables import record


def to_json(report: GpuReport) -> str:
    """The contest, the memory and the limits."""
    memory = [
        {"subject": name, "shape": str(shape), **asdict(memory)}
        for (name, shape), memory in report.memory.items()
    ]
    return record.dump(report.contest, report.limits, {"memory_bytes": memory})
