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
    "pipeline/precision/rounded_weights.py": '''
"""Weights with the precision of bfloat16, stored as fp32."""

import numpy as np
import onnx_ir

from pipeline.graph.file import Graph
from pipeline.precision import Calibration, Transformed, scheme
from pipeline.recipe.plan import Plan


@scheme("rounded_weights")
def rounded_weights(graph: Graph, plan: Plan, calibration: Calibration) -> Transformed:
    """Matrices are rounded to 8 bits of mantissa."""
    for value in graph.graph.initializers.values():
        array = value.const_value.numpy()
        if array.ndim > 1 and array.dtype == np.float32:
            value.const_value = onnx_ir.tensor((array.view(np.uint32) & 0xFFFF0000).view(np.float32))
    return Transformed()
''',
    "runtime/distilforge/machine/has_a_processor.py": '''
"""has-a-processor: met everywhere."""

from distilforge.machine import needs


@needs.register("has-a-processor")
def has_a_processor() -> str | None:
    return None
''',
    "bench/subjects/nothing.py": '''
"""A subject that is never prepared."""

from bench import checkpoint
from bench.subjects import Subject, subjects

subjects.add(
    Subject(name="nothing", title="Nothing", settings="", packages=(), prepare=checkpoint.copy, open=lambda *_: None)
)
''',
    "bench/gpu/subjects/nothing_on_a_gpu.py": '''
"""A column that is never prepared."""

from bench import checkpoint
from bench.gpu.subjects import Subject, subjects

subjects.add(
    Subject(
        name="a-first-name", title="Nothing", settings="", clock="", packages=(), prepare=checkpoint.copy, open=str
    )
)
''',
}

PLANS = """
[fp32]
fusions = ["gelu_as_erf"]

[rounded]
fusions = ["gelu_as_erf", "attention_mha"]
scheme = "rounded_weights"
needs = ["has-a-processor"]
"""

LISTING = """
import json
from bench.gpu.run import ordered
from bench.subjects import subjects
from pipeline.cli.app import app
from typer.testing import CliRunner

listed = {kind: CliRunner().invoke(app, ["list", kind]).stdout for kind in KINDS}
print(json.dumps(listed | {"subjects": subjects.names(), "columns": [column.name for column in ordered()]}))
"""

# Of 8 examples the interval reaches to a loss of 0.37, and rounded weights change labels that are near ties
BUILDING = """
import json
from pathlib import Path
import distilforge
from pipeline.build import build
from pipeline.recipe.recipe import Recipe, VariantName
from validation.gate import Gates, Limits
from tests.integration.conftest import Listener

def built(name, head, targets, plans=None):
    recipe = Recipe(
        name=name,
        checkpoint=str(FOLDER / "checkpoint"),
        head=head,
        evaluation=FOLDER / "features.jsonl",
        calibration=FOLDER / "features.jsonl",
        plans=plans,
        variants=tuple(VariantName(target=target, precision=precision) for target, precision in targets),
        gates=Gates(margin=0.5, latency="skip", threads=1, limits={"rounded": Limits(noise=0.1)}),
    )
    return build(recipe, FOLDER / "artifacts", Listener()).folder
"""

VARIANTS = """
folder = built(
    "plain", "features", [("onnxruntime-cpu", "fp32"), ("onnxruntime-web", "rounded")], FOLDER / "plans.toml"
)
session = distilforge.open(folder, variant="onnxruntime-web:rounded", threads=1)
usual = distilforge.open(folder, threads=1)
print(json.dumps({
    "passes": {record.name: record.rewrites for record in session.variant.passes},
    "file": session.variant.files[0],
    "validated": session.variant.validated,
    "chosen": usual.variant.name,
    "difference": float(abs(session(["good film"])[0] - usual(["good film"])[0]).max()),
    "card": (folder / "README.md").read_text(encoding="utf-8"),
}))
"""

HEAD = """
folder = built("embedding", "text_embedding", [("onnxruntime-cpu", "fp32")])
session = distilforge.open(folder, threads=1)
(variant,) = session.manifest.variants
print(json.dumps({
    "class": type(session).__name__,
    "shape": [list(embedding.shape) for embedding in session(["good film", "the food was slow and bad"])],
    "metrics": [metric.name for metric in variant.metrics],
    "validated": variant.validated,
}))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the added files, a checkpoint, texts and plans."""
    root = tmp_path_factory.mktemp("sources")
    for folder in SOURCES:
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.jsonl.gz")
        )
    examples = dict(EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert len(examples) == 6
    for name, text in (FILES | examples).items():
        path = root / name
        assert not path.exists(), f"{name} exists: this test adds files, and edits none"
        path.write_text(text.lstrip(), encoding="utf-8")
    save_checkpoint("features", root / "checkpoint", n_layers=1)
    write_evaluation("features", root)
    (root / "plans.toml").write_text(PLANS, encoding="utf-8")
    return root


def run(sources: Path, script: str, **names: object) -> dict[str, object]:
    """What `script` prints as JSON, run with the copied sources; `names` are defined for it."""
    definitions = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    done = subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path, PosixPath, WindowsPath\n{definitions}{script}"],
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


def test_what_was_added_is_listed(sources: Path) -> None:
    added = {
        "heads": "text_embedding",
        "passes": "gelu_as_erf",
        "schemes": "rounded_weights",
        "precisions": "rounded",
        "targets": "onnxruntime-web",
    }
    listed = run(sources, LISTING, KINDS=tuple(added))
    for kind, name in added.items():
        assert name in str(listed[kind]), kind
    assert "nothing" in listed["subjects"]  # type: ignore[operator]
    assert "a-first-name" in listed["columns"]  # type: ignore[operator]


def test_a_pass_a_scheme_a_target_and_a_backend_make_a_release(sources: Path) -> None:
    release = run(sources, BUILDING + VARIANTS, FOLDER=sources)
    assert release["passes"] == {"gelu_as_erf": 1, "attention_mha": 1}
    assert release["file"] == "onnx/web_rounded.onnx"
    assert release["validated"] is True
    assert release["chosen"] == "onnxruntime-cpu:fp32"
    # Rounding changes the answers, and by no more than the 8 bits of the weights
    assert 0 < float(str(release["difference"])) < 0.1
    assert "onnxruntime-web:rounded" in str(release["card"])


def test_a_head_makes_a_release(sources: Path) -> None:
    release = run(sources, BUILDING + HEAD, FOLDER=sources)
    assert release["class"] == "TextEmbedding"
    assert release["shape"] == [[32], [32]]
    assert release["metrics"] == ["embedding cosine"]
    assert release["validated"] is True
