"""One run on a GPU: prepare, measure memory alone, time in turns, and put together what was found."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench import contest, prepared
from bench.contest import Contest, Contestant
from bench.gpu import compiled, device, process, report
from bench.gpu.process import Memory
from bench.gpu.report import GpuReport
from bench.gpu.subjects import Subject, subjects
from bench.prepared import Absent
from bench.shapes import Shape
from pipeline import versions
from validation.conditions import processor

MOST_ROUNDS = 60
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
    with tempfile.TemporaryDirectory() as scratch:
        logs = Path(scratch)
        memory: dict[tuple[str, Shape], Memory] = {}
        contestants = []
        for one in ready:
            progress(f"opening {one.name} alone")
            found = process.alone(one, shapes, logs / "alone.log")
            if isinstance(found, Absent):
                progress(f"without {found.name}: {found.reason}")
                absent.append(found)
                continue
            contestants.append(one)
            memory |= {(one.name, shape): held for shape, held in found.items()}
        ceiling = _ceiling(progress)
        with process.open_workers(contestants, logs) as workers:
            timed = contest.time_in_turns(
                workers, shapes, seconds=seconds, most_rounds=MOST_ROUNDS, progress=progress
            )
        ceiling = max(ceiling, _ceiling(progress))
    columns = tuple(one.name for one in contestants)
    ours = report.judged(columns, [subject.title for subject in chosen if subject.engine])
    running = [subject for subject in chosen if subject.title in columns]
    return GpuReport(
        conditions=_conditions(chosen),
        settings={subject.title: f"{subject.settings}; {subject.clock}" for subject in running},
        contest=timed,
        memory=memory,
        differences=_differences(timed, columns),
        absent=tuple(absent),
        ours=ours,
        against=report.against(timed, columns, ours),
        ceiling=ceiling,
        wanted=report.wanted(timed, ours, ceiling),
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
) -> tuple[list[Contestant], list[Absent]]:
    compiled_for = {compiled.target_of(folder): folder for folder in given}
    ready: list[Contestant] = []
    absent: list[Absent] = []
    for subject in chosen:
        made: Contestant | Absent | None = left_out(subject)
        folder = cache / subject.name
        if made is None:
            progress(f"preparing {subject.title}")
            shutil.rmtree(folder, ignore_errors=True)
            if subject.name in compiled_for:
                compiled.adopt(compiled_for[subject.name], folder)
                made = Contestant(name=subject.title, subject=subject.name, source=str(folder))
            else:
                made = process.prepare(subject, checkpoint, folder, cache / f"{subject.name}.log")
        if isinstance(made, Absent):
            progress(f"without {made.name}: {made.reason}")
            absent.append(made)
        else:
            ready.append(made)
    return ready, absent


def _differences(timed: Contest, columns: Sequence[str]) -> Mapping[str, float]:
    """The largest difference of any logit from eager's, to show that all compute the same."""
    if report.EAGER not in columns:
        return {}
    largest: dict[str, float] = {}
    for (name, shape), logits in timed.logits.items():
        difference = float(np.abs(logits - timed.logits[report.EAGER, shape]).max())
        largest[name] = max(largest.get(name, 0.0), difference)
    return largest


def _ceiling(progress: Progress) -> float:
    progress("measuring the ceiling of fp16 matrix products")
    command = (sys.executable, "-m", "bench.gpu.ceiling")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - a module of ours
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def _conditions(chosen: Sequence[Subject]) -> dict[str, str]:
    packages = {package for subject in chosen for package in subject.packages}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": versions.git_commit(),
        **device.describe(),
        "processor": processor(),
        "model": "DistilBERT-base sizes (66M), sequence classification, random weights, no padding",
        **versions.tools(),
        **versions.of(*sorted(packages)),
    }
