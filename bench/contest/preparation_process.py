"""Prepare a subject in a process of its own.

    python -m bench.contest.preparation_process REGISTRY NAME CHECKPOINT FOLDER

REGISTRY is the package of the subjects: `bench.subjects` or `bench.gpu.subjects`.
"""

import importlib
import subprocess
import sys
from pathlib import Path

from bench.contest.base_subject import BaseSubject
from pipeline.registry import Registry

CPU, GPU = "bench.subjects", "bench.gpu.subjects"
LONGEST_MESSAGE = 300


class PreparationError(Exception):
    """A subject could not be prepared; the message is the last line that its process printed."""


def command(registry: str, name: str, checkpoint: Path, folder: Path) -> tuple[str, ...]:
    """The command that prepares the subject `name` of `registry` from `checkpoint` in `folder`."""
    return (
        sys.executable,
        "-m",
        "bench.contest.preparation_process",
        registry,
        name,
        str(checkpoint),
        str(folder),
    )


def run(registry: str, name: str, checkpoint: Path, folder: Path, log: Path) -> None:
    """Run `command` and write everything that it prints to `log`; raises PreparationError if it fails."""
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.run(  # noqa: S603 - this module
            command(registry, name, checkpoint, folder), stdout=file, stderr=file, check=False
        )
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last_line = lines[-1].strip()[:LONGEST_MESSAGE] if lines else "it printed nothing"
        raise PreparationError(f"{last_line} (exit code {process.returncode}, see {log})")


def main() -> None:
    """Prepare one subject."""
    registry, name, checkpoint, folder = sys.argv[1:]
    subjects: Registry[BaseSubject] = importlib.import_module(registry).subjects
    prepare = subjects.find(name).prepare
    assert prepare is not None, f"{name} opens a file that the user gives"
    prepare(Path(checkpoint), Path(folder))


if __name__ == "__main__":
    main()
