"""One run on a GPU: prepare the subjects, measure their memory, hold the contest, and put the report together."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from distilforge.errors import TimingError
from distilforge.timing.shape import Shape

from bench.contest import contest, fresh_process, preparation, preparation_process
from bench.contest.conditions import conditions
from bench.contest.contest import Contest
from bench.contest.ratios import Ratio
from bench.contest.rows import Omission, Row
from bench.gpu import compiling, device, memory, opening
from bench.gpu.memory import Memory
from bench.gpu.report import EAGER, GpuReport, engine_limits
from bench.gpu.subjects import Subject, subjects
from bench.models import release_folder
from bench.models.checkpoint import write_once

# The order of the columns in every table: the two columns of DistilBERT's documentation first
ORDER = (
    "pytorch-eager",
    "pytorch-sdpa",
    "torch-compile",
    "torch-compile-max-autotune",
    "onnxruntime-cuda",
    "onnxruntime-cuda-graphs",
    "tensorrt",
    "tensorrt-rtx",
)
JUDGED = ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda-graphs")
"""What this project publishes for a GPU: the first of them that runs is compared with the other columns.

Without copies, onnxruntime itself runs the graph: the runtime of distilforge always copies for it.
"""
INSTALL = "pip install {packages}"
Progress = Callable[[str], None]


def run(
    *,
    cache: Path,
    shapes: Sequence[Shape],
    seconds: float,
    without: Sequence[str],
    compiled: Sequence[Path],
    with_memory: bool,
    progress: Progress,
) -> GpuReport:
    """Measure everything, except for the columns `without`, and the memory only `with_memory`.

    `compiled` are folders that `distilforge compile` wrote; their targets are not compiled again.
    """
    compiling.write_shapes(cache, shapes)
    checkpoint = write_once(cache)
    chosen = [subject for subject in ordered() if subject.name not in without]
    prepare = partial(
        _prepare,
        checkpoint=checkpoint,
        cache=cache,
        compiled={release_folder.target_of(folder): folder for folder in compiled},
        prepared={},
        progress=progress,
    )
    rows, omissions = preparation.prepare_all(chosen, prepare, install=INSTALL, progress=progress)
    omissions += [
        Omission(name=subjects.find(name).title, reason="left out with --without or --only")
        for name in without
    ]
    opened, memory_by_column, failures = (
        _measure_memory(rows, shapes, progress) if with_memory else (rows, {}, [])
    )
    before = device.clocks()
    held = contest.hold(
        opened,
        [*omissions, *failures],
        candidates=candidates(chosen, copies=False),
        reference=EAGER,
        subject=opening.timing_subject,
        shapes=shapes,
        seconds=seconds,
        measure_ceiling=partial(_measure_ceiling, progress),
        conditions=_conditions(chosen),
        progress=progress,
    )
    clocks = {"clocks before": before, "clocks after": device.clocks()}
    return GpuReport(
        contest=replace(held, conditions={**held.conditions, **clocks}),
        with_copies=_with_copies(held, opened, chosen),
        memory=memory_by_column,
        limits=engine_limits(held.timing, held.judged, held.ceiling),
    )


def candidates(chosen: Sequence[Subject], *, copies: bool) -> tuple[str, ...]:
    """The titles of those of JUDGED that are `chosen`, with or without copies, in that order."""
    titles = {subject.column: subject.title for subject in chosen if subject.copies == copies}
    return tuple(titles[column] for column in JUDGED if column in titles)


def ordered() -> tuple[Subject, ...]:
    """All subjects, those on the device first, and of each kind those of ORDER first."""

    def place(subject: Subject) -> tuple[bool, int, str]:
        index = ORDER.index(subject.column) if subject.column in ORDER else len(ORDER)
        return subject.copies, index, subject.name

    return tuple(sorted((subjects.find(name) for name in subjects.names()), key=place))


def _prepare(
    subject: Subject,
    *,
    checkpoint: Path,
    cache: Path,
    compiled: Mapping[str, Path],
    prepared: dict[str, Path],
    progress: Progress,
) -> Path:
    """The prepared folder of `subject`.

    `compiled` are folders that replace a preparation, by target, and `prepared` collects the folders by what they hold,
    since several subjects open the same files. Raises PreparationError.
    """
    if subject.files in prepared:
        return prepared[subject.files]
    if subject.files in compiled:
        folder = preparation.empty_folder(subject, cache)
        release_folder.adopt(compiled[subject.files], folder)
    else:
        folder = preparation.prepare(subject, preparation_process.GPU, checkpoint, cache, progress)
    prepared[subject.files] = folder
    return folder


def _with_copies(
    held: Contest, rows: Sequence[Row], chosen: Sequence[Subject]
) -> Mapping[str, tuple[Ratio, ...]]:
    """The ratios to the judged column with copies, of the columns with copies that were timed."""
    copying = {subject.title for subject in chosen if subject.copies}
    timed = [row for row in rows if row.name in copying and row.name in held.names]
    return contest.compare(held.timing, timed, candidates(chosen, copies=True))[1]


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
