"""The demo's fp16 graphs in ONNX Runtime's CUDA provider, built and judged on this machine's GPU.

`make demo` assembles the checkpoints.
"""

import subprocess
from pathlib import Path

import pytest
from distilforge.backends import backends
from distilforge.cuda.driver import survey
from distilforge.release import read_manifest, resolve

from bench.models.release_folder import COMMAND

DRIVER = survey()
ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
TARGET = "onnxruntime-cuda"

pytestmark = pytest.mark.skipif(isinstance(DRIVER, str), reason=f"{DRIVER}")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe.stem))
def test_a_build_judges_it_on_the_device_and_publishes_it(recipe: Path, tmp_path: Path) -> None:
    if not (ROOT / "demo" / "checkpoints" / recipe.stem).is_dir():
        pytest.skip("there are no checkpoints: `make demo` assembles them")
    # `make bench-gpu` measures the speed
    options = ("--variant", f"{TARGET}:fp16", "--latency", "skip", "--artifacts", str(tmp_path))
    built = subprocess.run(
        (*COMMAND, "build", str(recipe), *options), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert built.returncode == 0, built.stderr
    (variant,) = read_manifest(resolve(tmp_path / recipe.stem)).variants
    backend = backends.get(TARGET)
    assert backend is not None
    obstacle = backend.obstacle(variant)
    if obstacle is not None:
        pytest.skip(obstacle)
    assert variant.validated
    # Where the device cannot be used, the graph is judged on the CPU, and a note says so
    assert not any("Not run on a device" in note for note in variant.notes), variant.notes
