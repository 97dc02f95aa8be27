"""Adding a head, pass, scheme, target, backend, need or bench subject is adding files and editing none.

The files are the examples in CONTRIBUTING.md, and a few here. They are added to a copy of the sources, which builds
releases with them in processes of its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import save_checkpoint
from tests.integration.conftest import write_evaluation

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"^`([\w/]+\.py)`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCES = ("model_src", "pipeline", "validation", "bench", "runtime/distilforge")

FILES = {
    "pipeline/targets/onnxruntime_rounded.py": '''
"""ONNX Runtime with a precision that no other target has."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.targets import onnx_graph, target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


@target(
    "onnxruntime-rounded",
    precisions=("rounded",),
    domains=frozenset({"", "com.microsoft"}),
    packages=("onnxruntime",),
)
def compile_onnxruntime_rounded(graph: "Graph", precision: str, folder: Path) -> tuple[str, ...]:
    """Write `graph`."""
    return onnx_graph.write(graph, f"onnx/{precision}.onnx", folder)
''',
    "runtime/distilforge/backends/onnxruntime_rounded.py": '''
"""The backend of onnxruntime-rounded."""

from distilforge.backends import backends
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu

backends.register("onnxruntime-rounded")(OnnxRuntimeCpu(preference=20))
''',
    "runtime/distilforge/machine/has_a_processor.py": '''
"""has-a-processor: met everywhere."""

from distilforge.machine import needs


@needs.register("has-a-processor")
def has_a_processor() -> str | None:
    return None
''',
    "bench/gpu/subjects/nothing_on_a_gpu.py": '''
"""A column that is never prepared."""

from bench.models import checkpoint
from bench.gpu.subjects import Subject, subjects

subjects.add(
    Subject(
        name="a-first-name", title="Nothing", settings="", packages=(), prepare=checkpoint.copy, open=str
    )
)
''',
}

PLANS = """
[fp32]
passes = ["gelu_as_erf"]

[rounded]
passes = ["gelu_as_erf", "attention_mha"]
scheme = "rounded_weights"
needs = ["has-a-processor"]
"""

SCRIPT = """
import json
from pathlib import Path

import distilforge
from bench.gpu.run import ordered
from bench.subjects import subjects
from pipeline.build import build
from pipeline.cli.app import app
from pipeline.recipe.recipe import Recipe, VariantName
from tests.integration.conftest import Listener
from typer.testing import CliRunner
from validation.gates import Gates, Limits

recipe = Recipe(
    name="added",
    checkpoint="checkpoint",
    head="text_embedding",
    evaluation=Path("features.jsonl"),
    plans=Path("plans.toml"),
    variants=(
        VariantName(target="onnxruntime-web", precision="fp32"),
        VariantName(target="onnxruntime-rounded", precision="rounded"),
    ),
    # Of 8 examples the interval reaches to a loss of 0.37, and rounded weights are not fp32
    gates=Gates(margin=0.5, latency="skip", threads=1, limits={"rounded": Limits(noise=0.1)}),
)
folder = build(recipe, Path("artifacts"), Listener()).folder
fp32 = distilforge.open(folder, variant="onnxruntime-web:fp32", threads=1)
rounded = distilforge.open(folder, variant="onnxruntime-rounded:rounded", threads=1)
texts = ["good film", "the food was slow and bad"]
print(json.dumps({
    "listed": {kind: CliRunner().invoke(app, ["list", kind]).stdout for kind in KINDS},
    "subjects": subjects.names(),
    "columns": [column.name for column in ordered()],
    "passes": {record.name: record.rewrites for record in rounded.variant.passes},
    "files": [session.variant.files[0] for session in (fp32, rounded)],
    "needs": rounded.variant.needs,
    "validated": fp32.variant.validated and rounded.variant.validated,
    "metrics": [metric.name for metric in fp32.variant.metrics],
    "class": type(fp32).__name__,
    "shapes": [list(embedding.shape) for embedding in fp32(texts)],
    "difference": float(max(abs(one - other).max() for one, other in zip(fp32(texts), rounded(texts)))),
    "card": (folder / "README.md").read_text(encoding="utf-8"),
}))
"""

ADDED = {
    "heads": "text_embedding",
    "passes": "gelu_as_erf",
    "schemes": "rounded_weights",
    "precisions": "rounded",
    "targets": "onnxruntime-web",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the added files, a checkpoint, texts and plans."""
    root = tmp_path_factory.mktemp("sources")
    for folder in SOURCES:
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.jsonl.gz")
        )
    examples = dict(EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert len(examples) >= 8
    for name, text in (FILES | examples).items():
        path = root / name
        assert not path.exists(), f"{name} exists: this test adds files, and edits none"
        path.write_text(text.lstrip(), encoding="utf-8")
    save_checkpoint("features", root / "checkpoint", n_layers=1)
    write_evaluation("features", root)
    (root / "plans.toml").write_text(PLANS, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def result(sources: Path) -> dict[str, object]:
    """What SCRIPT prints, run once for all tests: it builds a release with what was added."""
    done = subprocess.run(
        [sys.executable, "-c", f"KINDS = {tuple(ADDED)!r}\n{SCRIPT}"],
        cwd=sources,
        # The tests' own helpers are taken from here, and everything else from the copy
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (sources, sources / "runtime", ROOT)))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize("kind", ADDED)
def test_it_is_listed(kind: str, result: dict[str, dict[str, str]]) -> None:
    assert ADDED[kind] in result["listed"][kind]


def test_subjects_of_benchmarks_are_found(result: dict[str, list[str]]) -> None:
    assert "pytorch-eager-bf16" in result["subjects"]
    assert "a-first-name" in result["columns"]


def test_the_pass_and_the_scheme_change_the_graph(result: dict[str, dict[str, int]]) -> None:
    passes = result["passes"]
    # Two tables of embeddings, and six matrices of the only layer
    assert passes == {"gelu_as_erf": 1, "attention_mha": 1, "rounded_weights": 8}


def test_the_targets_make_artifacts(result: dict[str, object]) -> None:
    assert result["files"] == ["onnx/web_fp32.onnx", "onnx/rounded.onnx"]
    assert result["validated"] is True


def test_the_backend_runs_it_where_the_machine_meets_its_needs(result: dict[str, float]) -> None:
    assert result["needs"] == ["has-a-processor"]
    # Rounding to 8 bits changes the answers, which are about 1, and not by more than a few of its steps of 2^-8
    assert 0 < result["difference"] < 0.1


def test_the_head_answers_and_is_scored(result: dict[str, object]) -> None:
    assert result["class"] == "TextEmbedding"
    assert result["shapes"] == [[32], [32]]
    assert result["metrics"] == ["embedding cosine"]


def test_the_model_card_shows_how_to_call_the_head(result: dict[str, str]) -> None:
    assert 'session(["A text."])' in result["card"]
