"""Variants of this project's own: the pipeline compiles the checkpoint, here or on another machine."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.release_folder import COMPILED, described, model_file

__all__ = ["COMPILED", "adopt", "described", "model_file", "prepare", "target_of"]

# The package need not be installed where a checkout is run from
_COMMAND = "import sys; from pipeline.cli.app import main; sys.argv[0] = 'distilforge'; main()"


def prepare(checkpoint: Path, folder: Path, *, variant: str) -> None:
    """Compile `variant` into `folder`; RuntimeError with what the build said last where it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        options = ("--name", "bench", "--variant", variant, "--artifacts", scratch)
        done = subprocess.run(  # noqa: S603 - our own command
            (sys.executable, "-c", _COMMAND, "compile", str(checkpoint), *options),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.strip().splitlines()[-3:])
            raise RuntimeError(f"distilforge compile ended with exit code {done.returncode}: {said}")
        adopt(Path(done.stdout.strip().splitlines()[-1]), folder)


def adopt(compiled: Path, folder: Path) -> None:
    """Copy what `distilforge compile` wrote into `folder`, where subjects look for it."""
    shutil.copytree(compiled, folder / COMPILED, dirs_exist_ok=True)


def target_of(compiled: Path) -> str:
    """The target that the folder of `distilforge compile` is for."""
    from distilforge.manifest import Variant

    return Variant.from_json((compiled / "variant.json").read_text(encoding="utf-8")).target
