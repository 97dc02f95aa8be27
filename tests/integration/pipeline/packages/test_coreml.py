"""A Core ML model of every head answers as its ONNX graph; the operators of its file are evaluated in numpy."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from distilforge.heads import heads

from pipeline.errors import MissingError, StageError, UsageError
from pipeline.packages import coreml
from pipeline.packages.assembly import testing
from pipeline.packages.base import PackageOptions
from tests import coreml_self_test
from tests.integration.pipeline.packages.packaging import make, random_release

pytest.importorskip("coremltools", reason="coremltools has wheels for Macs and for x86-64 Linux alone")

# coremltools leaves the removal of its temporary folder to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HEAD = "sequence_classification"
PACKAGE = "from pipeline.cli.app import main; main()", "package", "--for", "coreml"


@pytest.mark.parametrize("head", heads.names())
def test_the_package_answers_its_examples(head: str, tmp_path: Path) -> None:
    package = make("coreml", random_release(head), tmp_path / "package")
    result = testing.run(package.record, package.folder)
    assert result.examples == 2
    assert result.largest_error <= 1e-4
    assert "coremltools" in result.client
    readme = (package.folder / "README.md").read_text()
    assert "Core ML itself was not run" in readme
    assert "--precision fp16" in readme


@pytest.mark.parametrize("head", heads.names())
def test_padding_and_other_lengths_are_answered_as_by_onnxruntime(head: str, tmp_path: Path) -> None:
    release = random_release(head)
    package = make("coreml", release, tmp_path / "package")
    self_test = coreml_self_test.load(package.folder / "self_test.py")
    evaluate = self_test.evaluate(package.folder / coreml.MODEL)
    session = onnxruntime.InferenceSession(
        release / "onnx" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    rows = (1, 3) if head == "multiple_choice" else (1,)
    for tokens, padding in ((2, 0), (9, 4), (64, 30)):
        ids = np.random.default_rng(tokens).integers(5, 60, (*rows, tokens))
        mask = np.ones_like(ids)
        mask[..., tokens - padding :] = 0
        feeds = {"input_ids": ids, "attention_mask": mask}
        answers = evaluate({name: array.astype(np.int32) for name, array in feeds.items()})
        names = [output.name for output in session.get_outputs()]
        for name, expected in zip(names, session.run(names, feeds), strict=True):
            np.testing.assert_allclose(answers[name], expected, rtol=1e-4, atol=1e-4)


def test_in_half_precision_it_has_half_the_bytes_and_says_so(tmp_path: Path) -> None:
    sizes = {}
    for precision in ("fp32", "fp16"):
        options = PackageOptions(precision=precision)
        package = make("coreml", random_release(HEAD), tmp_path / precision, options=options)
        weights = next((package.folder / coreml.MODEL).rglob("weight.bin"))
        sizes[precision] = weights.stat().st_size
    result = testing.run(package.record, package.folder)
    assert result.largest_error > 0
    assert sizes["fp16"] < 0.6 * sizes["fp32"]
    assert "computes in fp16" in (package.folder / "README.md").read_text()


def test_a_model_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    package = make("coreml", random_release(HEAD), tmp_path / "package")
    path = package.folder / "examples.json"
    examples = json.loads(path.read_text())
    examples["examples"][1]["outputs"]["logits"]["values"][0] += 0.01
    path.write_text(json.dumps(examples))
    with pytest.raises(StageError, match="differs by"):
        coreml._check_answers(package.folder)


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    package = make("coreml", random_release(HEAD), tmp_path / "package")
    next((package.folder / coreml.MODEL).rglob("model.mlmodel")).write_bytes(b"no model")
    with pytest.raises(StageError, match=r"model\.mlpackage cannot be read: .*take the package again"):
        coreml._check_answers(package.folder)


def test_two_packages_of_a_release_have_the_same_bytes(tmp_path: Path) -> None:
    release = random_release(HEAD)
    # Each process has an order of its own in which maps are written
    for name in ("one", "two"):
        output = str(tmp_path / name)
        subprocess.run(
            [sys.executable, "-c", *PACKAGE, str(release), "--output", output],
            check=True,
            capture_output=True,
        )
    one, two = (
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert f"{coreml.MODEL}/Manifest.json" in one
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_labels_are_in_the_model(tmp_path: Path) -> None:
    from coremltools.models.utils import load_spec

    package = make("coreml", random_release(HEAD), tmp_path / "package")
    description = load_spec(str(package.folder / coreml.MODEL)).description
    assert json.loads(description.metadata.userDefined["labels"]) == ["negative", "neutral", "positive"]
    assert [value.name for value in description.input] == ["input_ids", "attention_mask"]
    assert [value.name for value in description.output] == ["logits"]


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'int4' is not one of fp32, fp16"):
        make("coreml", random_release(HEAD), tmp_path / "package", options=PackageOptions(precision="int4"))
    assert not (tmp_path / "package").exists()


def test_without_coremltools_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("pipeline.packages.mil")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(MissingError, match=r"distilforge-pipeline\[coreml\]"):
        make("coreml", random_release(HEAD), tmp_path / "package")
