"""One run: prepare, measure builds, the ceiling and latency, and put together what was found."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from distilforge.timing import cores
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench import build_cost, differences, fresh, opening, prepared, ratios, release_folder
from bench.build_cost import Builds
from bench.conditions import conditions
from bench.products import Share
from bench.ratios import Ratio, Wanted
from bench.report import Report
from bench.rows import Absent, Row, time_rows
from bench.subjects import subjects
from validation.conditions import physical_cores

OURS = "ours-int8"
REFERENCE = "pytorch-eager"
OPTIMUM = "optimum-o2-int8"
PROFILES = 5
MEGABYTES = 1e6
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
    """Measure everything. `given` are .onnx files, PATH@key=value,... for the session; the first is judged as ours.

    0 `build_rounds` leave builds out.
    """
    cache.mkdir(parents=True, exist_ok=True)
    checkpoint = prepared.make_checkpoint(cache)
    rows, absent = _prepare(cache, checkpoint, progress)
    rows += [Row(name=Path(one).name, subject="onnx-file", source=one) for one in given]
    names = {row.subject: row.name for row in rows if row.subject != "onnx-file"}
    ours = Path(given[0]).name if given else names.get(OURS)
    with tempfile.TemporaryDirectory() as scratch:
        builds = _builds(checkpoint, build_rounds, Path(scratch), absent, progress)
    ceiling = _ceiling(threads, progress)
    # Its ratios are what the timing goes on for, so the judged one is first
    judged_first = sorted(rows, key=lambda row: row.name != ours)
    timing, dead = time_rows(
        [opening.subject(row, threads) for row in judged_first], shapes, seconds, progress=progress
    )
    ceiling = max(ceiling, _ceiling(threads, progress))
    absent += dead
    rows = [row for row in rows if row.name not in {one.name for one in dead}]
    if ours not in {row.name for row in rows}:
        ours = None
    against = _against(timing, ours, rows)
    folder = cache / OURS
    share = _share(folder, threads, timing, progress) if OURS in names else None
    size = release_folder.model_file(folder).stat().st_size if OURS in names else None
    return Report(
        conditions=_conditions(threads),
        settings={row.name: subjects.find(row.subject).settings for row in rows},
        timing=timing,
        differences=differences.largest(timing, names.get(REFERENCE, "")),
        absent=tuple(absent),
        ours=ours,
        against=against,
        ceiling=ceiling,
        share=share,
        builds=builds,
        int8_bytes=size,
        wanted=(*ratios.wanted(against), *_wanted_of_builds(share, builds, size)),
    )


def _prepare(cache: Path, checkpoint: Path, progress: Progress) -> tuple[list[Row], list[Absent]]:
    rows: list[Row] = []
    absent: list[Absent] = []
    for name in subjects.names():
        if name == "onnx-file":
            continue
        made = prepared.prepare(subjects.find(name), checkpoint, cache, progress)
        if isinstance(made, Absent):
            progress(f"without {made.name}: {made.reason}")
            absent.append(made)
        else:
            rows.append(made)
    return rows, absent


def _builds(
    checkpoint: Path, rounds: int, logs: Path, absent: list[Absent], progress: Progress
) -> dict[str, Builds]:
    found, failed = build_cost.measure_in_turns(
        ("ours", OPTIMUM),
        lambda which: build_cost.measure(which, checkpoint, logs / f"build-{which}.log"),
        rounds=rounds,
        progress=progress,
    )
    absent += [Absent(name=f"build of {which}", reason=str(error)) for which, error in failed.items()]
    return found


def _against(timing: Timing, ours: str | None, rows: Sequence[Row]) -> dict[str, tuple[Ratio, ...]]:
    """Ratios against each peer; presets of one peer stand together."""
    if ours is None:
        return {}
    families: dict[str, list[str]] = {}
    for row in rows:
        if row.name != ours:
            families.setdefault(subjects.find(row.subject).family or row.name, []).append(row.name)
    return {title: ratios.ratios(timing, ours, names, title=title) for title, names in families.items()}


def _wanted_of_builds(
    share: Share | None, builds: Mapping[str, Builds], size: int | None
) -> tuple[Wanted, ...]:
    ours, optimum = builds.get("ours"), builds.get(OPTIMUM)
    return (
        Wanted(
            what="share of 8x128 in matrix products, attention kernels counted",
            observed=100 * (share.products + share.attention) if share else None,
            at_least=80.0,
            unit="%",
        ),
        Wanted(
            what="INT8 file",
            observed=size / MEGABYTES if size is not None else None,
            at_most=70.0,
            unit="MB",
        ),
        Wanted(
            what="peak memory of a build",
            observed=ours.peak_bytes / MEGABYTES if ours else None,
            at_most=1700.0,
            unit="MB",
        ),
        Wanted(
            what="time of a build over Optimum's export + O2 + quantize",
            observed=100 * ours.seconds / optimum.seconds if ours and optimum else None,
            at_most=60.0,
            unit="%",
        ),
    )


def _ceiling(threads: int, progress: Progress) -> float:
    progress("measuring the ceiling of integer products")
    return float(json.loads(fresh.last_line("bench.ceiling", str(threads))))


def _share(folder: Path, threads: int, timing: Timing, progress: Progress) -> Share:
    """Of a profile with the cores near each other, where one of some tries has them so, and else of the last."""
    progress("profiling 8x128")
    trips = timing.steadiness.round_trip_nanoseconds
    for _ in range(PROFILES):
        before = cores.round_trip_nanoseconds()
        share = Share(**json.loads(fresh.last_line("bench.products", str(folder), str(threads))))
        after = cores.round_trip_nanoseconds()
        if trips is None or before is None or after is None:
            break
        if cores.is_near(max(before, after), min(trips)):
            break
    return share


def _conditions(threads: int) -> dict[str, str]:
    details = {
        "cores": str(physical_cores()),
        "threads": str(threads),
        "model": "DistilBERT-base sizes (66M), sequence classification, random weights",
    }
    return conditions(
        (package for name in subjects.names() for package in subjects.find(name).packages), details
    )
