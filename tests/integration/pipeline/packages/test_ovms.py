"""The model folder for OpenVINO Model Server, loaded by the server's engine."""

import json
from pathlib import Path

import pytest

from model_src import heads
from pipeline.errors import StageError
from pipeline.packages.assembly import testing
from tests.integration.pipeline.packages.packaging import make, random_release


@pytest.mark.parametrize("head", heads.names())
def test_openvino_answers_as_the_runtime(head: str, tmp_path: Path) -> None:
    package = make("ovms", random_release(head), tmp_path / "package")
    result = testing.run(package.record, package.folder)
    assert result.client.startswith("openvino ")
    assert result.examples == 2


def test_the_configuration_names_the_model_and_its_folder(tmp_path: Path) -> None:
    package = make("ovms", random_release("features"), tmp_path / "package")
    (entry,) = json.loads((package.folder / "config.json").read_text())["model_config_list"]
    assert entry["config"]["name"] == package.record.name
    mounted = Path(entry["config"]["base_path"]).relative_to("/workspace")
    assert (package.folder / mounted / "1" / "model.onnx").is_file()


def test_the_self_test_finds_a_wrong_answer_and_a_changed_file(tmp_path: Path) -> None:
    package = make("ovms", random_release("sequence_classification"), tmp_path / "package")
    path = package.folder / "config.json"
    path.write_text("{}")
    with pytest.raises(StageError, match=r"config\.json does not have the SHA-256"):
        testing.run(package.record, package.folder)
