"""Files of this project: the pipeline compiles the checkpoint, here or elsewhere, and the runtime opens the result."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from distilforge.backends import backends
from distilforge.manifest import Variant
from distilforge.timing.feeds import Ids

from bench.contest.base_subject import Answer, Logits
from bench.contest.preparation_process import PreparationError

OURS = "ours"
"""How the names of subjects begin that are files of this project."""
COMPILED = "compiled"
"""The folder, inside a prepared folder, that holds the files of the variant."""
COMMAND = (
    sys.executable,
    "-c",
    "import sys; from pipeline.cli.app import main; sys.argv[0] = 'distilforge'; main()",
)
"""The command `distilforge`, which also runs from a checkout that is not installed."""
_LAST_LINES = 3


def prepare(checkpoint: Path, folder: Path, *, variant: str) -> None:
    """Compile `variant` of `checkpoint`, not validated, into `folder`.

    Raises PreparationError, with the last lines that the build printed, if it fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        options = ("--name", "bench", "--variant", variant, "--artifacts", scratch)
        process = subprocess.run(  # noqa: S603 - the command above
            (*COMMAND, "compile", str(checkpoint), *options), capture_output=True, text=True, check=False
        )
        if process.returncode != 0:
            lines = " ".join(process.stderr.strip().splitlines()[-_LAST_LINES:])
            raise PreparationError(
                f"distilforge compile --variant {variant} ended with exit code {process.returncode}: {lines}"
            )
        adopt(Path(process.stdout.strip().splitlines()[-1]), folder)


def adopt(compiled: Path, folder: Path) -> None:
    """Copy a folder that `distilforge compile` wrote into the prepared folder `folder`."""
    shutil.copytree(compiled, folder / COMPILED, dirs_exist_ok=True)


def target_of(compiled: Path) -> str:
    """The target of a folder that `distilforge compile` wrote."""
    return _read_variant(compiled).target


def read_variant(folder: Path) -> Variant:
    """The variant in the prepared folder `folder`."""
    return _read_variant(folder / COMPILED)


def model_file(folder: Path) -> Path:
    """The first file of the variant in the prepared folder `folder`: its graph or engine."""
    return folder / COMPILED / read_variant(folder).files[0]


def open_variant(folder: Path, threads: int) -> Answer:
    """Open the variant in `folder` with the engine that `distilforge.open` uses for its target."""
    variant = read_variant(folder)
    backend = backends.get(variant.target)
    assert backend is not None, variant.target
    engine = backend.load(variant, folder / COMPILED, manifest=None, providers=None, threads=threads)

    def answer(ids: Ids, mask: Ids) -> Logits:
        outputs = engine.run({"input_ids": ids, "attention_mask": mask})
        return outputs["logits"].astype(np.float32, copy=False)

    return answer


def _read_variant(compiled: Path) -> Variant:
    return Variant.from_json((compiled / "variant.json").read_text(encoding="utf-8"))
