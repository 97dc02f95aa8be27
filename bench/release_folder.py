"""Our own files: the pipeline compiles the checkpoint, and the runtime's engine opens what it wrote."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from distilforge.backends import backends
from distilforge.manifest import Variant
from distilforge.timing.feeds import Ids

from bench.subjects import Answer, Logits

COMPILED = "compiled"


def compile_checkpoint(checkpoint: Path, variant: str, folder: Path) -> Path:
    """Export to published files with validation left out; the folder that holds them, inside `folder`.

    Raises RuntimeError, with what the build said last, where it fails.
    """
    command = (
        str(Path(sys.executable).with_name("distilforge")),
        "compile",
        str(checkpoint),
        "--name",
        "bench",
        "--variant",
        variant,
        "--artifacts",
        str(folder),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode != 0:
        said = " ".join(done.stderr.split("\n")[-3:]).strip()
        raise RuntimeError(f"distilforge compile ended with exit code {done.returncode}: {said}")
    return Path(done.stdout.strip().splitlines()[-1])


def prepare(checkpoint: Path, folder: Path, *, variant: str) -> None:
    """Compile into `folder`, and leave the compiled files only."""
    compiled = compile_checkpoint(checkpoint, variant, folder / "artifacts")
    shutil.copytree(compiled, folder / COMPILED)
    shutil.rmtree(folder / "artifacts")


def described(folder: Path) -> Variant:
    """What the pipeline wrote about the variant."""
    return Variant.from_json((folder / COMPILED / "variant.json").read_text(encoding="utf-8"))


def model_file(folder: Path) -> Path:
    """The graph that `prepare` wrote."""
    return folder / COMPILED / described(folder).files[0]


def open_variant(folder: Path, threads: int) -> Answer:
    """Answers through the engine that `distilforge.open` uses for this target."""
    variant = described(folder)
    backend = backends.get(variant.target)
    assert backend is not None
    engine = backend.load(variant, folder / COMPILED, providers=None, threads=threads)

    def answer(ids: Ids, mask: Ids) -> Logits:
        outputs = engine.run({"input_ids": ids, "attention_mask": mask})
        return outputs["logits"].astype(np.float32, copy=False)

    return answer
