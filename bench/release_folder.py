"""Our own files: the pipeline compiles the checkpoint, and the runtime's engine opens what it wrote."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.shapes import Ids
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


def prepare(checkpoint: Path, variant: str, folder: Path) -> None:
    """Compile into `folder`, and leave the compiled files only."""
    compiled = compile_checkpoint(checkpoint, variant, folder / "artifacts")
    shutil.copytree(compiled, folder / COMPILED)
    shutil.rmtree(folder / "artifacts")


def model_file(folder: Path) -> Path:
    """The graph that `prepare` wrote."""
    (path,) = sorted((folder / COMPILED / "onnx").glob("*.onnx"))
    return path


def session_settings(folder: Path) -> Mapping[str, str]:
    """ONNX Runtime's settings that the variant asks for."""
    described = json.loads((folder / COMPILED / "variant.json").read_text(encoding="utf-8"))
    return described.get("session", {}) if isinstance(described, dict) else {}


def open_variant(folder: Path, threads: int) -> Answer:
    """Answers through the engine that `distilforge.open` uses for this target."""
    from distilforge.backends import backends
    from distilforge.manifest import Variant

    compiled = folder / COMPILED
    variant = Variant(
        target="onnxruntime-cpu",
        precision="",
        files=(model_file(folder).relative_to(compiled).as_posix(),),
        session=session_settings(folder),
    )
    backend = backends.get(variant.target)
    assert backend is not None
    engine = backend.load(variant, compiled, providers=None, threads=threads)

    def answer(ids: Ids, mask: Ids) -> Logits:
        outputs = engine.run({"input_ids": ids, "attention_mask": mask})
        return outputs["logits"].astype(np.float32, copy=False)

    return answer
