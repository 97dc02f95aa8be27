"""Preparing in a process of its own: `python -m bench.preparing REGISTRY NAME CHECKPOINT FOLDER`.

REGISTRY is the package that holds the subjects: `bench.subjects` or `bench.gpu.subjects`.
"""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pipeline.registry import Registry

CPU, GPU = "bench.subjects", "bench.gpu.subjects"
LAST_WORDS = 300


class PreparationError(Exception):
    """A subject could not be prepared; the message is the last line that its process printed."""


class Preparable(Protocol):
    """What is asked of a subject here."""

    @property
    def name(self) -> str: ...
    @property
    def prepare(self) -> Callable[[Path, Path], None]: ...


def command(registry: str, name: str, checkpoint: Path, folder: Path) -> tuple[str, ...]:
    """What prepares the subject `name` of `registry` from `checkpoint` into `folder`."""
    return (sys.executable, "-m", "bench.preparing", registry, name, str(checkpoint), str(folder))


def prepare(registry: str, name: str, checkpoint: Path, folder: Path, log: Path) -> None:
    """Run `command`, with what it prints in `log`; PreparationError where it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as errors:
        done = subprocess.run(  # noqa: S603 - this module
            command(registry, name, checkpoint, folder), stdout=errors, stderr=errors, check=False
        )
    if done.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
        raise PreparationError(f"{lines[-1].strip()[:LAST_WORDS]} ({log})")


def main() -> None:
    """Prepare one subject."""
    registry, name, checkpoint, folder = sys.argv[1:]
    subjects: Registry[Preparable] = importlib.import_module(registry).subjects
    subjects.find(name).prepare(Path(checkpoint), Path(folder))


if __name__ == "__main__":
    main()
