"""One run on a CPU: prepare the subjects, measure builds, hold the contest, and put the report together."""

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from distilforge.timing import cores
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench import build_cost
from bench.build_cost import BuilderCosts
from bench.contest import contest, fresh_process, preparation, preparation_process
from bench.contest.conditions import conditions
from bench.contest.rows import Omission
from bench.cpu import opening
from bench.cpu.limits import build_limits, latency_limits
from bench.cpu.operator_profile import OperatorShares
from bench.cpu.report import Report
from bench.models import release_folder
from bench.models.checkpoint import write_once
from bench.subjects import Subject, subjects
from bench.subjects.onnx_file import given_file
from validation.latency.conditions import physical_cores

OWN_SUBJECT = "ours-int8"
OWN_SUBJECTS = (OWN_SUBJECT, "ours-openvino-int8", "ours-openvino-int8-bf16")
"""The INT8 files of this project; the fastest one here is judged, since `distilforge.open` takes it."""
REFERENCE_SUBJECT = "pytorch-eager"
OPTIMUM_BUILDER = "optimum-o2-int8"
INSTALL = "pip install -c constraints.txt -e '.[bench]'"
MOST_PROFILES = 5
Progress = Callable[[str], None]


def run(
    *,
    cache: Path,
    threads: int,
    shapes: Sequence[Shape],
    seconds: float,
    given: Sequence[str],
    build_rounds: int,
    progress: Progress,
) -> Report:
    """Measure everything.

    `given` are .onnx files, PATH or PATH@key=value,... to set up the session; the first one is judged in place of our
    own INT8 files. If `build_rounds` is 0, builds are not measured.
    """
    checkpoint = write_once(cache)
    prepare = partial(
        preparation.prepare_once,
        registry=preparation_process.CPU,
        checkpoint=checkpoint,
        cache=cache,
        progress=progress,
    )
    rows, omissions = preparation.prepare_all(
        prepared_subjects(), prepare, install=INSTALL, progress=progress
    )
    titles = {row.subject: row.name for row in rows}
    rows += [given_file(file) for file in given]
    builds, failures = _measure_builds(checkpoint, build_rounds, progress)
    own_titles = [titles[name] for name in OWN_SUBJECTS if name in titles]
    held = contest.hold(
        rows,
        [*omissions, *failures],
        candidates=[given_file(given[0]).name] if given else own_titles,
        choose=contest.fastest,
        reference=titles.get(REFERENCE_SUBJECT, ""),
        subject=partial(opening.timing_subject, threads=threads),
        shapes=shapes,
        seconds=seconds,
        measure_ceiling=partial(_measure_ceiling, threads, progress),
        conditions=_conditions(threads),
        progress=progress,
    )
    own_folder = cache / OWN_SUBJECT if OWN_SUBJECT in titles else None
    shares = _profile(own_folder, threads, held.timing, progress) if own_folder else None
    int8_bytes = release_folder.model_file(own_folder).stat().st_size if own_folder else None
    ours = {row.family for row in rows if row.subject.startswith(release_folder.OURS)}
    return Report(
        contest=held,
        shares=shares,
        builds=builds,
        int8_bytes=int8_bytes,
        limits=(
            *latency_limits({title: ratio for title, ratio in held.ratios.items() if title not in ours}),
            *build_limits(shares, builds.get(build_cost.OURS), builds.get(OPTIMUM_BUILDER), int8_bytes),
        ),
    )


def prepared_subjects() -> tuple[Subject, ...]:
    """All subjects except those that open a file that the user gives."""
    return tuple(subject for subject in map(subjects.find, subjects.names()) if subject.prepare is not None)


def _measure_builds(
    checkpoint: Path, rounds: int, progress: Progress
) -> tuple[dict[str, BuilderCosts], list[Omission]]:
    with tempfile.TemporaryDirectory() as logs:
        builds, errors = build_cost.measure_in_turns(
            (build_cost.OURS, OPTIMUM_BUILDER),
            lambda builder: build_cost.measure(builder, checkpoint, Path(logs) / f"{builder}.log"),
            rounds=rounds,
            progress=progress,
        )
    return builds, [
        Omission(name=f"build of {builder}", reason=str(error)) for builder, error in errors.items()
    ]


def _measure_ceiling(threads: int, progress: Progress) -> float:
    progress("measuring the ceiling of integer products")
    return float(json.loads(fresh_process.last_line("bench.cpu.ceiling", str(threads))))


def _profile(folder: Path, threads: int, timing: Timing, progress: Progress) -> OperatorShares:
    """The first of several profiles during which the cores shared a cache, or the last one if none did."""
    progress("profiling 8x128")
    round_trips = timing.steadiness.round_trip_nanoseconds
    for _ in range(MOST_PROFILES):
        before = cores.round_trip_nanoseconds()
        shares = OperatorShares(
            **json.loads(fresh_process.last_line("bench.cpu.operator_profile", str(folder), str(threads)))
        )
        after = cores.round_trip_nanoseconds()
        if round_trips is None or before is None or after is None:
            break
        if cores.is_near(max(before, after), min(round_trips)):
            break
    return shares


def _conditions(threads: int) -> dict[str, str]:
    details = {
        "cores": str(physical_cores()),
        "threads": str(threads),
        "model": "DistilBERT-base sizes (66M), sequence classification, random weights",
    }
    return conditions(map(subjects.find, subjects.names()), details)
