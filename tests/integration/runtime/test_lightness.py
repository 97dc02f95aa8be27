"""Applications install numpy, tokenizers and onnxruntime, and nothing else is ever imported."""

import subprocess
import sys

import pytest

from tests.runtime_release import LABELS, published

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
    assert "distilforge.session" in modules
    # The engine and the heads are imported when a release is opened, and only those it needs.
    assert "onnxruntime" not in modules
    assert not [name for name in modules if name.startswith("distilforge.heads.")]


def test_every_public_name_is_there() -> None:
    script = "import distilforge; print(*(repr(getattr(distilforge, name)) for name in distilforge.__all__))"
    assert run(script).returncode == 0
    finished = run("import distilforge; distilforge.nothing")
    assert "AttributeError: module 'distilforge' has no attribute 'nothing'" in finished.stderr
