"""One run on a GPU: prepare, measure memory alone, time in turns, and put together what was found."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from distilforge.errors import TimingError
from distilforge.timing.shape import Shape

from bench import differences, fresh, prepared, preparing
from bench.conditions import conditions
from bench.gpu import compiled, device, memory, opening, report
from bench.gpu.memory import Memory
from bench.gpu.report import GpuReport
from bench.gpu.subjects import Subject, subjects
from bench.preparing import PreparationError
from bench.rows import Absent, Row, time_rows

# The columns' order in every table: the documentation's own first
ORDER = ("pytorch-eager", "pytorch-sdpa", "torch-compile", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx")
Progress = Callable[[str], None]


def run(
    *,
    cache: Path,
    shapes: Sequence[Shape],
    seconds: float,
    without: Sequence[str],
    given: Sequence[Path],
    progress: Progress,
) -> GpuReport:
    """Measure everything. `given` are folders that `distilforge compile` wrote, which are not compiled again."""
    cache.mkdir(parents=True, exist_ok=True)
    checkpoint = prepared.make_checkpoint(cache)
    chosen = [subject for subject in ordered() if subject.name not in without]
    ready, absent = _prepare(chosen, checkpoint, cache, given, progress)
    absent += [Absent(name=subjects.find(name).title, reason="left out by --without") for name in without]
    held: dict[tuple[str, Shape], Memory] = {}
    rows = []
    for row in ready:
        progress(f"opening {row.name} alone")
        try:
            by_shape = memory.alone(opening.subject(row), shapes)
        except TimingError as error:
            progress(f"without {row.name}: {error}")
            absent.append(Absent(name=row.name, reason=str(error)))
            continue
        rows.append(row)
        held |= {(row.name, shape): taken for shape, taken in by_shape.items()}
    ceiling = _ceiling(progress)
    engines = [subject.title for subject in chosen if subject.engine]
    ours = report.judged([row.name for row in rows], engines)
    # Its ratios are what the timing goes on for, so the judged one is first
    judged_first = sorted(rows, key=lambda row: row.name != ours)
    timing, dead = time_rows(
        [opening.subject(row) for row in judged_first], shapes, seconds, progress=progress
    )
    ceiling = max(ceiling, _ceiling(progress))
    absent += dead
    columns = [row.name for row in rows if row.name not in {one.name for one in dead}]
    ours = report.judged(columns, engines)
    running = [subject for subject in chosen if subject.title in columns]
    return GpuReport(
        conditions=_conditions(chosen),
        settings={subject.title: f"{subject.settings}; {subject.clock}" for subject in running},
        timing=timing,
        memory=held,
        differences=differences.largest(timing, report.EAGER),
        absent=tuple(absent),
        ours=ours,
        against=report.against(timing, columns, ours),
        ceiling=ceiling,
        wanted=report.wanted(timing, ours, ceiling),
    )


def ordered() -> tuple[Subject, ...]:
    """Every column, those of ORDER first."""
    names = sorted(
        subjects.names(), key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)
    )
    return tuple(subjects.find(name) for name in names)


def left_out(subject: Subject) -> Absent | None:
    """Why the column cannot be there, where its packages already say so."""
    missing = subject.missing()
    if not missing:
        return None
    names = " ".join(missing)
    return Absent(name=subject.title, reason=f"not installed: {names}; pip install {names}")


def _prepare(
    chosen: Sequence[Subject], checkpoint: Path, cache: Path, given: Sequence[Path], progress: Progress
) -> tuple[list[Row], list[Absent]]:
    compiled_for = {compiled.target_of(folder): folder for folder in given}
    ready: list[Row] = []
    absent: list[Absent] = []
    for subject in chosen:
        made: Row | Absent | None = left_out(subject)
        folder = cache / subject.name
        if made is None:
            progress(f"preparing {subject.title}")
            shutil.rmtree(folder, ignore_errors=True)
            if subject.name in compiled_for:
                compiled.adopt(compiled_for[subject.name], folder)
                made = Row(name=subject.title, subject=subject.name, source=str(folder))
            else:
                made = _prepare_one(subject, checkpoint, folder, cache / f"{subject.name}.log")
        if isinstance(made, Absent):
            progress(f"without {made.name}: {made.reason}")
            absent.append(made)
        else:
            ready.append(made)
    return ready, absent


def _prepare_one(subject: Subject, checkpoint: Path, folder: Path, log: Path) -> Row | Absent:
    try:
        preparing.prepare(preparing.GPU, subject.name, checkpoint, folder, log)
    except PreparationError as error:
        return Absent(name=subject.title, reason=f"preparing it failed: {error}")
    return Row(name=subject.title, subject=subject.name, source=str(folder))


def _ceiling(progress: Progress) -> float:
    progress("measuring the ceiling of fp16 matrix products")
    return float(json.loads(fresh.last_line("bench.gpu.ceiling")))


def _conditions(chosen: Sequence[Subject]) -> dict[str, str]:
    details = {
        **device.describe(),
        "model": "DistilBERT-base sizes (66M), sequence classification, random weights, no padding",
    }
    return conditions((package for subject in chosen for package in subject.packages), details)
