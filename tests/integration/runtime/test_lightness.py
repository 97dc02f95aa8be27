"""Applications install numpy, tokenizers and onnxruntime, and nothing else is ever imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from distilforge.cuda.driver import survey

from tests.device_release import device_variant, with_variants
from tests.runtime_release import LABELS, copied, published

SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "onnx", "onnx_ir", "onnxscript", "scipy", "pipeline",
                                      "validation", "model_src", "huggingface_hub", "safetensors"}:
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Refuse())
import distilforge

session = distilforge.open(sys.argv[1])
answer = session(eval(sys.argv[2]))
assert answer is not None
print(session.head)
"""
INPUTS = {
    "features": "the movie",
    "masked_lm": "the [MASK] movie",
    "multiple_choice": ("the movie was", ["good", "bad"]),
    "question_answering": ("who?", "the doctor and the king"),
    "sequence_classification": "a good movie",
    "token_classification": "the doctor and the king",
}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("head", INPUTS)
def test_answering_imports_nothing_heavy(head: str) -> None:
    release = published(head, LABELS.get(head, ())).release
    finished = run(SCRIPT, str(release), repr(INPUTS[head]))
    assert (finished.returncode, finished.stdout.strip()) == (0, head), finished.stderr


def test_the_guard_guards() -> None:
    finished = run(SCRIPT.replace("import distilforge", "import torch"), "x", "1")
    assert finished.returncode != 0
    assert "torch must not be imported" in finished.stderr


def test_importing_is_cheap() -> None:
    script = "import sys, distilforge; print(*sorted(sys.modules))"
    modules = run(script).stdout.split()
    assert "distilforge.errors" in modules
    # The engine and the heads are imported when a release is opened, and only those it needs. Until then, python -m
    # distilforge needs nothing that takes long, since it cannot answer Ctrl-C yet.
    assert not {"numpy", "onnxruntime", "tokenizers"}.intersection(modules)
    assert not [name for name in modules if name.startswith("distilforge.heads.")]


OPENED = (
    "import sys, distilforge; distilforge.open(sys.argv[1]); "
    "print(*(name for name in sys.modules if name.startswith((%s))))"
)
DEVICE_TARGETS = ("tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt", "onnxruntime-rtx", "onnxruntime-cuda")


@pytest.mark.skipif(not isinstance(survey(), str), reason="there is a device here")
def test_asking_why_an_engine_cannot_run_imports_no_toolkit(tmp_path: Path) -> None:
    release = with_variants(
        copied("sequence_classification", tmp_path / "release"), *map(device_variant, DEVICE_TARGETS)
    )
    finished = run(OPENED % "'tensorrt', 'cuda', 'onnx.', 'torch'", str(release))
    assert (finished.returncode, finished.stdout.strip()) == (0, ""), finished.stderr


@pytest.mark.skipif(not isinstance(survey(), str), reason="there is a device here")
def test_a_release_with_engines_that_runs_on_the_processor_imports_nothing_that_runs_engines(
    tmp_path: Path,
) -> None:
    release = with_variants(
        copied("sequence_classification", tmp_path / "release"), device_variant("tensorrt-rtx")
    )
    running = "'distilforge.tensorrt.loading', 'distilforge.tensorrt.lanes', 'distilforge.cuda.arrays'"
    # These two take 20 ms
    finished = run(OPENED % f"{running}, 'importlib.metadata', 'subprocess'", str(release))
    assert (finished.returncode, finished.stdout.strip()) == (0, ""), finished.stderr


def test_a_release_for_the_processor_alone_imports_nothing_of_devices() -> None:
    release = published("sequence_classification").release
    finished = run(OPENED % "'distilforge.tensorrt', 'distilforge.cuda'", str(release))
    assert (finished.returncode, finished.stdout.strip()) == (0, ""), finished.stderr


def test_every_public_name_is_there() -> None:
    script = "import distilforge; print(*(repr(getattr(distilforge, name)) for name in distilforge.__all__))"
    assert run(script).returncode == 0
    listed = run("import distilforge; print(*set(distilforge.__all__) - set(dir(distilforge)))")
    assert (listed.returncode, listed.stdout.strip()) == (0, "")
    finished = run("import distilforge; distilforge.nothing")
    assert "AttributeError: module 'distilforge' has no attribute 'nothing'" in finished.stderr
