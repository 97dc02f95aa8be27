"""Prepare subjects, each in a fresh process, and make rows of those that could be prepared."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from bench.contest import preparation_process
from bench.contest.base_subject import BaseSubject
from bench.contest.preparation_process import PreparationError
from bench.contest.rows import Omission, Row
from pipeline.store import versions

STAMP = "prepared.json"
# The modules that prepare subjects, apart from the subjects' own files
MODULES = (
    "bench.models.checkpoint",
    "bench.models.shapes",
    "bench.models.sizes",
    "bench.models.openvino_model",
    "bench.models.transformers_exporter",
    "bench.models.optimum_quantizer",
)

AnySubject = TypeVar("AnySubject", bound=BaseSubject)


def prepare_all(
    subjects: Iterable[AnySubject],
    prepare: Callable[[AnySubject], Path],
    *,
    install: str,
    progress: Callable[[str], None],
) -> tuple[list[Row], list[Omission]]:
    """A row for each of `subjects`, in their order, and those that are left out.

    `prepare` returns the folder that the subject opens, or raises PreparationError. `install` is the command that
    installs missing packages; it may contain `{packages}`. Optional subjects have commands of their own.
    """
    rows: list[Row] = []
    omissions: list[Omission] = []
    for subject in subjects:
        try:
            _require_packages(subject, subject.install or install)
            obstacle = subject.obstacle() if subject.obstacle is not None else None
            if obstacle is not None:
                progress(f"leaving out {subject.title}: {obstacle}")
                omissions.append(Omission(name=subject.title, reason=obstacle, tolerated=True))
                continue
            folder = prepare(subject)
        except PreparationError as error:
            progress(f"leaving out {subject.title}: {error}")
            omissions.append(
                Omission(
                    name=subject.title,
                    reason=str(error),
                    tolerated=bool(subject.install and subject.missing()),
                )
            )
        else:
            rows.append(row(subject, folder))
    return rows, omissions


def row(subject: BaseSubject, source: Path) -> Row:
    """The row of `subject`, which opens `source`."""
    return Row(
        name=subject.title,
        subject=subject.name,
        source=str(source),
        settings=subject.description,
        family=subject.family or subject.title,
    )


def prepare(
    subject: BaseSubject, registry: str, checkpoint: Path, cache: Path, progress: Callable[[str], None]
) -> Path:
    """Prepare `subject` in an empty folder of `cache`; raises PreparationError if that fails."""
    progress(f"preparing {subject.title}")
    folder = empty_folder(subject, cache)
    preparation_process.run(registry, subject.name, checkpoint, folder, cache / f"{subject.name}.log")
    return folder


def prepare_once(
    subject: BaseSubject, registry: str, checkpoint: Path, cache: Path, progress: Callable[[str], None]
) -> Path:
    """Prepare `subject` unless `cache` has it for the same packages, checkpoint and sources."""
    folder, stamp = cache / subject.name, _stamp(subject, registry, checkpoint)
    if not _is_current(folder, stamp):
        prepare(subject, registry, checkpoint, cache, progress)
        (folder / STAMP).write_text(stamp, encoding="utf-8")
    return folder


def empty_folder(subject: BaseSubject, cache: Path) -> Path:
    """The folder of `subject` in `cache`, made anew."""
    folder = cache / subject.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _require_packages(subject: BaseSubject, install: str) -> None:
    missing = subject.missing()
    if missing:
        hint = install.format(packages=" ".join(missing))
        raise PreparationError(f"not installed: {', '.join(missing)}; {hint}")


def _is_current(folder: Path, stamp: str) -> bool:
    path = folder / STAMP
    return path.is_file() and path.read_text(encoding="utf-8") == stamp


def _stamp(subject: BaseSubject, registry: str, checkpoint: Path) -> str:
    """Everything that the files of a subject depend on, as JSON."""
    config = hashlib.sha256((checkpoint / "config.json").read_bytes()).hexdigest()
    own = ("pipeline", "model_src", "bench.models.release_folder") if subject.name.startswith("ours") else ()
    # The file of a subject on a CPU has the subject's name
    source = versions.source(f"{registry}.{subject.name.replace('-', '_')}", *MODULES, *own)
    return json.dumps({"packages": versions.of(*subject.packages), "config": config, "source": source})
