"""Compiles variants of this project for the shapes that are timed."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from distilforge.timing.shape import Shape

from bench.contest.preparation_process import PreparationError
from bench.gpu.shapes import SHAPES
from bench.models import release_folder

# Beside the checkpoint, since subjects are prepared in processes of their own, which get its path
SHAPES_FILE = "shapes.json"
_LAST_LINES = 3


def write_shapes(cache: Path, shapes: Sequence[Shape]) -> None:
    """Write the `shapes` that variants are compiled for into the folder of the checkpoint."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / SHAPES_FILE).write_text(json.dumps([str(shape) for shape in shapes]), encoding="utf-8")


def prepare(checkpoint: Path, folder: Path, *, variant: str) -> None:
    """Compile `variant` of `checkpoint`, not validated, into `folder`, for the shapes beside the checkpoint.

    Raises PreparationError, with the last lines that the build printed, if it fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        recipe = Path(scratch) / "bench.toml"
        recipe.write_text(recipe_text(checkpoint, variant, _shapes(checkpoint.parent)), encoding="utf-8")
        process = subprocess.run(  # noqa: S603 - our own command
            (*release_folder.COMMAND, "compile", str(recipe), "--artifacts", scratch),
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            lines = " ".join(process.stderr.strip().splitlines()[-_LAST_LINES:])
            raise PreparationError(
                f"distilforge compile of {variant} ended with exit code {process.returncode}: {lines}"
            )
        release_folder.adopt(Path(process.stdout.strip().splitlines()[-1]), folder)


def recipe_text(checkpoint: Path, variant: str, shapes: Sequence[Shape]) -> str:
    """The recipe of `variant`: its spans hold all of `shapes`."""
    batches = sorted(shape.batch for shape in shapes)
    tokens = sorted(shape.tokens for shape in shapes)
    # TOML's basic strings escape as JSON's do
    return "\n".join(
        (
            f"checkpoint = {json.dumps(str(checkpoint.resolve()))}",
            f"variants = [{json.dumps(variant)}]",
            "",
            "[spans]",
            f"batch = {_span(batches)}",
            f"sequence = {_span(tokens)}",
            "",
        )
    )


def _shapes(cache: Path) -> tuple[Shape, ...]:
    path = cache / SHAPES_FILE
    if not path.is_file():
        return SHAPES
    return tuple(map(Shape.parse, json.loads(path.read_text(encoding="utf-8"))))


def _span(sizes: Sequence[int]) -> list[int]:
    """From 1 to the largest of `sizes`, which rise; the usual size is the one in the middle."""
    return [1, sizes[len(sizes) // 2], sizes[-1]]
