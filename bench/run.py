"""One run: prepare, measure builds, the ceiling and latency, and put together what was found."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench import build_cost, contest, cores, prepared, ratios, release_folder, rounds
from bench.build_cost import Builds
from bench.contest import Contest, Contestant, WorkerError
from bench.prepared import Absent
from bench.products import Share
from bench.ratios import Ratio, Wanted
from bench.report import Report
from bench.shapes import Shape
from bench.subjects import subjects
from pipeline import versions
from validation.conditions import physical_cores, processor

OURS = "ours-int8"
REFERENCE = "pytorch-eager"
OPTIMUM = "optimum-o2-int8"
MOST_ROUNDS = 60
PROFILES = 5
# How much longer than asked a shape may take until the cores were near each other for long enough
PATIENCE = 2
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
    contestants, absent = _prepare(cache, checkpoint, progress)
    contestants += [Contestant(name=Path(one).name, subject="onnx-file", source=one) for one in given]
    with tempfile.TemporaryDirectory() as scratch:
        logs = Path(scratch)
        builds = _builds(checkpoint, build_rounds, logs, absent, progress)
        ceiling = _ceiling(threads, progress)
        contestants = _that_open(contestants, threads, logs, absent)
        with contest.open_workers(contestants, threads, logs) as workers:
            found = contest.time_in_turns(
                workers,
                shapes,
                seconds=seconds,
                most_rounds=MOST_ROUNDS,
                round_trip=cores.round_trip,
                patience=PATIENCE * seconds,
                progress=progress,
            )
        ceiling = max(ceiling, _ceiling(threads, progress))
    titles = {one.subject: one.name for one in contestants if one.subject != "onnx-file"}
    ours = Path(given[0]).name if given else titles.get(OURS)
    divided = rounds.divide(found)
    against = _against(divided.near, ours, contestants)
    folder = cache / OURS
    share = _share(folder, threads, divided.shortest, progress) if OURS in titles else None
    size = release_folder.model_file(folder).stat().st_size if OURS in titles else None
    return Report(
        conditions=_conditions(threads),
        settings={one.name: subjects.find(one.subject).settings for one in contestants},
        contest=found,
        rounds=divided,
        differences=_differences(found, titles.get(REFERENCE)),
        absent=tuple(absent),
        ours=ours,
        against=against,
        ceiling=ceiling,
        share=share,
        builds=builds,
        int8_bytes=size,
        wanted=(*ratios.wanted(against), *_wanted_of_builds(share, builds, size)),
    )


def _prepare(cache: Path, checkpoint: Path, progress: Progress) -> tuple[list[Contestant], list[Absent]]:
    contestants: list[Contestant] = []
    absent: list[Absent] = []
    for name in subjects.names():
        if name == "onnx-file":
            continue
        made = prepared.prepare(subjects.find(name), checkpoint, cache, progress)
        if isinstance(made, Absent):
            progress(f"without {made.name}: {made.reason}")
            absent.append(made)
        else:
            contestants.append(made)
    return contestants, absent


def _that_open(
    contestants: Sequence[Contestant], threads: int, logs: Path, absent: list[Absent]
) -> list[Contestant]:
    """Those that load and answer at all; the others become absent, with the reason."""
    kept = []
    for one in contestants:
        log = logs / "opening.log"
        try:
            with contest.open_worker(one, threads, log) as worker:
                worker.run(Shape(batch=1, tokens=16), warm_ups=0, runs=1)
            kept.append(one)
        except WorkerError as error:
            lines = log.read_text(encoding="utf-8").strip().splitlines() or [""]
            absent.append(Absent(name=one.name, reason=f"{error}: {lines[-1]}"))
    return kept


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


def _against(
    found: Contest, ours: str | None, contestants: Sequence[Contestant]
) -> dict[str, tuple[Ratio, ...]]:
    """Ratios against each peer; presets of one peer stand together."""
    families: dict[str, list[str]] = {}
    for one in contestants:
        if one.name != ours:
            families.setdefault(subjects.find(one.subject).family or one.name, []).append(one.name)
    if ours is None:
        return {}
    return {title: ratios.ratios(found, ours, names, title=title) for title, names in families.items()}


def _differences(found: Contest, reference: str | None) -> dict[str, float]:
    """The largest difference of any logit from eager PyTorch's, to show that all compute the same."""
    if reference is None:
        return {}
    largest: dict[str, float] = {}
    for (name, shape), logits in found.logits.items():
        difference = float(np.abs(logits - found.logits[reference, shape]).max())
        largest[name] = max(largest.get(name, 0.0), difference)
    return largest


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
    return float(json.loads(_module("bench.ceiling", str(threads))))


def _share(folder: Path, threads: int, shortest: float | None, progress: Progress) -> Share:
    """Of a profile with the cores near each other, where one of some tries has them so, and else of the last."""
    progress("profiling 8x128")
    for _ in range(PROFILES):
        before = cores.round_trip()
        found = Share(**json.loads(_module("bench.products", str(folder), str(threads))))
        after = cores.round_trip()
        if shortest is None or before is None or after is None:
            break
        if cores.is_near(max(before, after), shortest):
            break
    return found


def _module(name: str, *arguments: str) -> str:
    """The last line that a module of ours prints, run in a fresh process."""
    command = (sys.executable, "-m", name, *arguments)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - a module of ours
    return done.stdout.strip().splitlines()[-1]


def _conditions(threads: int) -> dict[str, str]:
    packages = {package for name in subjects.names() for package in subjects.find(name).packages}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": versions.git_commit(),
        "processor": processor(),
        "cores": str(physical_cores()),
        "threads": str(threads),
        "model": "DistilBERT-base sizes (66M), sequence classification, random weights",
        **versions.tools(),
        **versions.of(*sorted(packages)),
    }
