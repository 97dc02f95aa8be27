"""Make a row a subject of the timing engine, which opens it in a process of its own."""

from pathlib import Path

from distilforge.timing.subject import Subject

from bench.contest.rows import Row
from bench.gpu.runner import GpuRunner, free_bytes
from bench.gpu.subjects import subjects


def timing_subject(row: Row) -> Subject:
    """The subject of `row`."""
    return Subject(
        name=row.name,
        opener="bench.gpu.opening:open_subject",
        arguments={"name": row.subject, "source": row.source},
    )


def open_subject(name: str, source: str) -> GpuRunner:
    """The opener of `timing_subject`, for its own process; raises what the subject's `open` raises."""
    # Every process on the device has a CUDA context, so its memory is not counted as the subject's
    free = free_bytes()
    runner = subjects.find(name).open(Path(source))
    runner.free_bytes = free
    return runner
