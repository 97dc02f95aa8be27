"""Subjects made ready: each in a fresh process, once for its packages' versions and its own source."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from bench import checkpoint as checkpoints
from bench import preparing
from bench.preparing import PreparationError
from bench.rows import Absent, Row
from bench.subjects import Subject
from pipeline.store import versions

STAMP = "prepared.json"
# What subjects are prepared with, besides their own files
PREPARING = ("bench.checkpoint", "bench.shapes", "bench.sizes", "bench.optimum_quantizer")


def make_checkpoint(cache: Path) -> Path:
    """The checkpoint that every subject is made from."""
    folder = cache / "checkpoint"
    if not folder.exists():
        scratch = cache / "checkpoint.new"
        shutil.rmtree(scratch, ignore_errors=True)
        checkpoints.write(scratch)
        scratch.rename(folder)
    return folder


def prepare(subject: Subject, checkpoint: Path, cache: Path, progress: Callable[[str], None]) -> Row | Absent:
    """The subject as a row, or why it cannot be one."""
    missing = subject.missing()
    if missing:
        reason = f"not installed: {', '.join(missing)}; pip install -c constraints.txt -e '.[bench]'"
        return Absent(name=subject.name, reason=reason)
    folder, stamp = cache / subject.name, _stamp(subject, checkpoint)
    if not _is_current(folder, stamp):
        progress(f"preparing {subject.title}")
        shutil.rmtree(folder, ignore_errors=True)
        log = cache / f"{subject.name}.log"
        try:
            preparing.prepare(preparing.CPU, subject.name, checkpoint, folder, log)
        except PreparationError as error:
            return Absent(name=subject.name, reason=f"preparing it failed: {error}")
        (folder / STAMP).write_text(stamp, encoding="utf-8")
    return Row(name=subject.title, subject=subject.name, source=str(folder))


def _is_current(folder: Path, stamp: str) -> bool:
    path = folder / STAMP
    return path.is_file() and path.read_text(encoding="utf-8") == stamp


def _stamp(subject: Subject, checkpoint: Path) -> str:
    """What a prepared folder depends on: packages, what prepares it, and for our own files the pipeline's source."""
    config = hashlib.sha256((checkpoint / "config.json").read_bytes()).hexdigest()
    ours = ("pipeline", "model_src", "bench.release_folder") if subject.name.startswith("ours") else ()
    # A subject's file has its name
    own = f"{preparing.CPU}.{subject.name.replace('-', '_')}"
    source = versions.source(own, *PREPARING, *ours)
    return json.dumps({"packages": versions.of(*subject.packages), "config": config, "source": source})
