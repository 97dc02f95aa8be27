"""Folders for KServe and Triton: the graph by their engine, the configurations by Triton's schema."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
import yaml
from distilforge.manifest import PassRecord

from model_src import heads
from pipeline.errors import UsageError
from pipeline.packages.assembly import testing
from pipeline.packages.assembly.build import Package
from pipeline.packages.server_names import dns_label
from tests.device_release import device_variant, with_variants
from tests.integration.pipeline.packages.packaging import make, random_release
from tests.runtime_release import copied, read_manifest, write_manifest
from tests.served_release import served

NAME = "My Model (v2)"
LABEL = "my-model-v2-8e9ee76f"
"""A name that a release may have, and that no service of Kubernetes, image of Docker or URL has."""


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


def test_triton_cannot_feed_an_engine_without_padding(tmp_path: Path) -> None:
    passes = (PassRecord(name="kept_input", rewrites=1),)
    engine = device_variant("tensorrt", "fp16_unpadded", passes=passes)
    release = with_variants(copied("sequence_classification", tmp_path / "release"), engine)
    with pytest.raises(UsageError, match=r"tensorrt:fp16_unpadded has an input that only .* feeds") as caught:
        make("triton", release, tmp_path / "package", variant=engine.name)
    assert "tensorrt:fp16" in caught.value.hint
    assert not (tmp_path / "package").exists()


def config(package: Package, suffix: str) -> str:
    folder = package.folder / "models" / f"{package.record.name}{suffix}"
    return (folder / "config.pbtxt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [NAME, "A_b.c", "3b", "café", "模型", "-", "x" * 60, f"{'x' * 38}-y", "sentiment"]
)
def test_every_name_has_a_label_that_kserve_takes(name: str) -> None:
    # The pattern of KServe's validating webhook
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", dns_label(name))
    assert len(dns_label(name)) <= 39


def test_a_label_keeps_a_name_that_is_one() -> None:
    assert dns_label("sentence-embedding-2") == "sentence-embedding-2"


@pytest.mark.parametrize(
    "names",
    [
        (NAME, "my-model-v2", "My model v2"),
        ("模型", "模特", "-", "release"),
        (f"{'x' * 39}a", f"{'x' * 39}b", "x" * 39),
    ],
)
def test_two_names_do_not_become_one_label(names: tuple[str, ...]) -> None:
    """Deploying one release would replace the other."""
    assert len({dns_label(name) for name in names}) == len(names)


def test_a_service_has_a_name_that_kubernetes_takes_and_the_model_its_own(tmp_path: Path) -> None:
    package = make("kserve", named_release(tmp_path), tmp_path / "package")
    service = yaml.safe_load((package.folder / "inferenceservice.yaml").read_text())
    assert service["metadata"]["name"] == LABEL
    assert f'name: "{NAME}"' in config(package, "")
    readme = (package.folder / "README.md").read_text()
    assert f"inferenceservice/{LABEL}\n" in readme
    assert f"The service is `{LABEL}`, and the model in it is `{NAME}`." in readme


def test_an_image_has_a_name_that_docker_takes(tmp_path: Path) -> None:
    package = make("triton", named_release(tmp_path), tmp_path / "package")
    assert ["docker", "build", "--tag", f"{LABEL}-triton", "."] in commands(package)


def test_the_readme_names_a_url_without_spaces(tmp_path: Path) -> None:
    package = make("ovms", named_release(tmp_path), tmp_path / "package")
    url = "http://localhost:8000/v2/models/My%20Model%20%28v2%29/ready"
    assert ["curl", url] in commands(package)


@pytest.mark.parametrize("kind", ["ovms", "kserve"])
def test_a_server_is_asked_for_a_model_of_any_name(kind: str, tmp_path: Path) -> None:
    release = named_release(tmp_path)
    package = make(kind, release, tmp_path / "package")
    with served(distilforge.open(release, threads=1)) as url:
        done = self_test(package, "--url", url)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["ovms", "triton"])
def test_what_a_server_refuses_is_shown(kind: str, tmp_path: Path) -> None:
    package = make(kind, random_release("features"), tmp_path / "package")
    with served(distilforge.open(named_release(tmp_path), threads=1)) as url:
        done = self_test(package, "--url", url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{url}/v2/models/{package.record.name}/infer answers 404: ")
    assert NAME in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["ovms", "triton"])
def test_a_server_that_does_not_run_is_named(kind: str, tmp_path: Path) -> None:
    package = make(kind, random_release("features"), tmp_path / "package")
    done = self_test(package, "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert re.match(r"http://127\.0\.0\.1:9/v2/models/\S+ does not answer: .*refused", done.stderr)
    assert "Traceback" not in done.stderr


def named_release(folder: Path) -> Path:
    """A small random release with the name NAME, in the new folder `folder`/release."""
    release = copied("features", folder / "release")
    write_manifest(release, replace(read_manifest(release), name=NAME))
    return release


def commands(package: Package) -> Sequence[Sequence[str]]:
    """The words of each command in the README of a package, as a shell reads them."""
    blocks = re.findall(r"```sh\n(.*?)```", (package.folder / "README.md").read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def self_test(package: Package, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "self_test.py", *arguments]
    return subprocess.run(command, cwd=package.folder, capture_output=True, text=True, check=False)
