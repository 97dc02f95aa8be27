"""Subjects made ready: each in a fresh process, once for its packages' versions and its own source."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import checkpoint as checkpoints
from bench import subjects
from bench.contest import Contestant
from bench.subjects import Subject
from pipeline import versions

STAMP = "prepared.json"
# What subjects are prepared with, besides their own files
PREPARING = ("bench.checkpoint", "bench.shapes", "bench.sizes", "bench.optimum_quantizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A subject that is not in the contest, and why."""

    name: str
    reason: str


def make_checkpoint(cache: Path) -> Path:
    """The checkpoint that every subject is made from."""
    folder = cache / "checkpoint"
    if not folder.exists():
        scratch = cache / "checkpoint.new"
        shutil.rmtree(scratch, ignore_errors=True)
        checkpoints.write(scratch)
        scratch.rename(folder)
    return folder


def prepare(
    subject: Subject, checkpoint: Path, cache: Path, progress: Callable[[str], None]
) -> Contestant | Absent:
    """The subject as a contestant, or why it cannot be one."""
    missing = subject.missing()
    if missing:
        reason = f"not installed: {', '.join(missing)}; pip install -c constraints.txt -e '.[bench]'"
        return Absent(name=subject.name, reason=reason)
    folder, stamp = cache / subject.name, _stamp(subject, checkpoint)
    if not _is_current(folder, stamp):
        progress(f"preparing {subject.title}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = cache / f"{subject.name}.log"
        command = (
            sys.executable,
            "-m",
            "bench.worker",
            "prepare",
            subject.name,
            str(checkpoint),
            str(folder),
        )
        with log.open("w", encoding="utf-8") as errors:
            done = subprocess.run(command, stdout=errors, stderr=errors, check=False)  # noqa: S603 - a module of ours
        if done.returncode != 0:
            lines = log.read_text(encoding="utf-8").strip().splitlines() or ["it said nothing"]
            return Absent(name=subject.name, reason=f"preparing it failed: {lines[-1]} ({log})")
        (folder / STAMP).write_text(stamp, encoding="utf-8")
    return Contestant(name=subject.title, subject=subject.name, source=str(folder))


def _is_current(folder: Path, stamp: str) -> bool:
    path = folder / STAMP
    return path.is_file() and path.read_text(encoding="utf-8") == stamp


def _stamp(subject: Subject, checkpoint: Path) -> str:
    """What a prepared folder depends on: packages, what prepares it, and for our own files the pipeline's source."""
    config = hashlib.sha256((checkpoint / "config.json").read_bytes()).hexdigest()
    ours = ("pipeline", "model_src", "bench.release_folder") if subject.name.startswith("ours") else ()
    # A subject's file has its name
    own = f"{subjects.__name__}.{subject.name.replace('-', '_')}"
    source = versions.source(own, *PREPARING, *ours)
    return json.dumps({"packages": versions.of(*subject.packages), "config": config, "source": source})
