"""A Core ML model of every head answers as its ONNX graph; the operators of its file are evaluated in numpy."""

import json
import sys
from pathlib import Path

import pytest
from distilforge.heads import heads

from pipeline.errors import MissingError, StageError, UsageError
from pipeline.packages import coreml
from pipeline.packages.assembly import testing
from pipeline.packages.base import PackageOptions
from tests.integration.pipeline.packages.packaging import make, random_release

pytest.importorskip("coremltools", reason="coremltools has wheels for Macs and for x86-64 Linux alone")

# coremltools leaves the removal of its temporary folder to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HEAD = "sequence_classification"


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
