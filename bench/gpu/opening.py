"""How a column becomes a subject that the timing engine can time, in a process of its own."""

from pathlib import Path

from distilforge.timing.subject import Subject

from bench.gpu.runner import GpuRunner, free_bytes
from bench.gpu.subjects import subjects
from bench.rows import Row


def subject(row: Row) -> Subject:
    """The column of `row`."""
    return Subject(
        name=row.name,
        opener="bench.gpu.opening:open_subject",
        arguments={"name": row.subject, "source": row.source},
    )


def open_subject(name: str, source: str) -> GpuRunner:
    """What `subject` names, in its own process; raises what the column's `open` raises."""
    # The context that every process on the device has is not the column's
    free = free_bytes()
    runner = subjects.find(name).open(Path(source))
    runner.free_bytes = free
    return runner
