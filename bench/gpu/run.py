"""One run on a GPU: prepare the subjects, measure their memory, hold the contest, and put the report together."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from distilforge.errors import TimingError
from distilforge.timing.shape import Shape

from bench.contest import contest, fresh_process, preparation, preparation_process
from bench.contest.conditions import conditions
from bench.contest.rows import Omission, Row
from bench.gpu import device, memory, opening
from bench.gpu.memory import Memory
from bench.gpu.report import EAGER, GpuReport, engine_limits
from bench.gpu.subjects import Subject, subjects
from bench.models import release_folder
from bench.models.checkpoint import write_once

# The order of the columns in every table: the two columns of DistilBERT's documentation first
ORDER = ("pytorch-eager", "pytorch-sdpa", "torch-compile", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx")
INSTALL = "pip install {packages}"
Progress = Callable[[str], None]


def run(
    *,
    cache: Path,
    shapes: Sequence[Shape],
    seconds: float,
    without: Sequence[str],
    compiled: Sequence[Path],
    progress: Progress,
) -> GpuReport:
    """Measure everything, except for the columns `without`.

    `compiled` are folders that `distilforge compile` wrote; their targets are not compiled again.
    """
    checkpoint = write_once(cache)
    chosen = [subject for subject in ordered() if subject.name not in without]
    prepare = partial(
        _prepare,
        checkpoint=checkpoint,
        cache=cache,
        compiled={release_folder.target_of(folder): folder for folder in compiled},
        progress=progress,
    )
    rows, omissions = preparation.prepare_all(chosen, prepare, install=INSTALL, progress=progress)
    omissions += [
        Omission(name=subjects.find(name).title, reason="left out with --without") for name in without
    ]
    opened, memory_by_column, failures = _measure_memory(rows, shapes, progress)
    held = contest.hold(
        opened,
        [*omissions, *failures],
        candidates=[subject.title for subject in chosen if subject.engine],
        reference=EAGER,
        subject=opening.timing_subject,
        shapes=shapes,
        seconds=seconds,
        measure_ceiling=partial(_measure_ceiling, progress),
        conditions=_conditions(chosen),
        progress=progress,
    )
    return GpuReport(
        contest=held,
        memory=memory_by_column,
        limits=engine_limits(held.timing, held.judged, held.ceiling),
    )


def ordered() -> tuple[Subject, ...]:
    """All subjects, those of ORDER first."""
    names = sorted(
        subjects.names(), key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)
    )
    return tuple(subjects.find(name) for name in names)


def _prepare(
    subject: Subject, *, checkpoint: Path, cache: Path, compiled: Mapping[str, Path], progress: Progress
) -> Path:
    """The prepared folder of `subject`; `compiled` are folders that replace a preparation, by target."""
    if subject.name not in compiled:
        return preparation.prepare(subject, preparation_process.GPU, checkpoint, cache, progress)
    folder = preparation.empty_folder(subject, cache)
    release_folder.adopt(compiled[subject.name], folder)
    return folder


def _measure_memory(
    rows: Sequence[Row], shapes: Sequence[Shape], progress: Progress
) -> tuple[list[Row], dict[tuple[str, Shape], Memory], list[Omission]]:
    """The rows that open, their memory by column and shape, and the rows that do not open."""
    opened: list[Row] = []
    by_column: dict[tuple[str, Shape], Memory] = {}
    failures: list[Omission] = []
    for row in rows:
        progress(f"opening {row.name} alone")
        try:
            by_shape = memory.measure_alone(opening.timing_subject(row), shapes)
        except TimingError as error:
            progress(f"leaving out {row.name}: {error}")
            failures.append(Omission(name=row.name, reason=str(error)))
        else:
            opened.append(row)
            by_column |= {(row.name, shape): measured for shape, measured in by_shape.items()}
    return opened, by_column, failures


def _measure_ceiling(progress: Progress) -> float:
    progress("measuring the ceiling of fp16 matrix products")
    return float(json.loads(fresh_process.last_line("bench.gpu.ceiling")))


def _conditions(chosen: Sequence[Subject]) -> dict[str, str]:
    details = {
        **device.describe(),
        "model": "DistilBERT-base sizes (66M), sequence classification, random weights, no padding",
    }
    return conditions(chosen, details)
