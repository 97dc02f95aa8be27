"""Folders for KServe and Triton: the graph by their engine, the configurations by Triton's schema."""

from pathlib import Path

import pytest
import yaml

from model_src import heads
from pipeline.packages.assembly import testing
from pipeline.packages.assembly.build import Package
from tests.integration.pipeline.packages.packaging import make, random_release


@pytest.mark.parametrize("head", ["features", "multiple_choice", "question_answering"])
def test_onnxruntime_answers_as_the_runtime(head: str, tmp_path: Path) -> None:
    package = make("kserve", random_release(head), tmp_path / "package")
    assert testing.run(package.record, package.folder).client.startswith("onnxruntime ")
    assert (package.folder / "models" / package.record.name / "config.pbtxt").is_file()


def test_the_service_names_the_model(tmp_path: Path) -> None:
    package = make("kserve", random_release("features"), tmp_path / "package")
    service = yaml.safe_load((package.folder / "inferenceservice.yaml").read_text())
    assert service["kind"] == "InferenceService"
    assert service["metadata"]["name"] == package.record.name
    assert service["spec"]["predictor"]["model"]["modelFormat"]["name"] == "onnx"


@pytest.mark.parametrize("head", heads.names())
def test_triton_reads_every_configuration_and_the_tokenizer_agrees(head: str, tmp_path: Path) -> None:
    pytest.importorskip("tritonclient", reason="tritonclient is not installed")
    package = make("triton", random_release(head), tmp_path / "package")
    assert testing.run(package.record, package.folder).examples == 2


def test_an_ensemble_leads_from_texts_to_the_outputs(tmp_path: Path) -> None:
    package = make("triton", random_release("question_answering"), tmp_path / "package")
    text = config(package, "")
    assert f'model_name: "{package.record.name}-tokenizer"' in text
    assert f'model_name: "{package.record.name}-graph"' in text
    for output in ("start_logits", "end_logits"):
        assert f'output_map {{ key: "{output}" value: "{output}" }}' in text
    graph = config(package, "-graph")
    assert 'platform: "onnxruntime_onnx"' in graph
    assert "dynamic_batching" in graph
    assert "model_warmup" in graph
    # The batch is not among the dimensions
    assert 'name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ]' in graph
    assert "max_batch_size: 8" in graph


def config(package: Package, suffix: str) -> str:
    folder = package.folder / "models" / f"{package.record.name}{suffix}"
    return (folder / "config.pbtxt").read_text(encoding="utf-8")
