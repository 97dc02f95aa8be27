"""An npm package describes itself; what it answers is tested where its dependencies are installed."""

import json
import re
import shutil
from pathlib import Path

import pytest

from pipeline.errors import MissingError, UsageError
from pipeline.packages import web
from pipeline.packages.assembly import testing
from pipeline.packages.node import ENGINE, npm_name
from tests.conftest import DEMO_HEADS
from tests.integration.pipeline.packages.packaging import make, random_release
from tests.runtime_release import copied, record_again

ROOT = Path(__file__).parents[4]
LOCK = ROOT / "tests" / "clients" / "javascript" / "package-lock.json"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sentiment", "sentiment"),
        ("My Model (v2)", "my-model-v2-"),
        ("_.x", "x"),
        ("日本", "release"),
        ("__", "release"),
    ],
)
def test_names_are_those_that_npm_allows(name: str, expected: str) -> None:
    assert npm_name(name) == expected


@pytest.mark.parametrize("head", DEMO_HEADS)
def test_every_head_has_types(head: str, tmp_path: Path) -> None:
    package = make("node", random_release(head), tmp_path / "package")
    types = (package.folder / "index.d.ts").read_text()
    assert "_TYPE" not in types
    (answer,) = re.findall(r"export type Output = (\w+)", types)
    assert answer == "number" or f"export interface {answer} " in types


def test_the_package_names_its_release_and_what_it_needs(tmp_path: Path) -> None:
    package = make("node", random_release("features"), tmp_path / "package")
    described = json.loads((package.folder / "package.json").read_text())
    assert re.fullmatch(r"1\.0\.0-r[0-9a-f]{12}", described["version"])
    assert described["version"].endswith(package.record.version)
    assert described["name"] in (package.folder / "README.md").read_text()
    assert set(described["dependencies"]) == {"@huggingface/tokenizers", "onnxruntime-node"}


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_self_test_says_what_to_install(tmp_path: Path) -> None:
    package = make("node", random_release("features"), tmp_path / "package")
    with pytest.raises(MissingError, match="npm install"):
        testing.run(package.record, package.folder)


def test_a_tokenizer_that_javascript_does_not_read_is_refused(tmp_path: Path) -> None:
    release = copied("features", tmp_path / "release")
    path = release / "tokenizer.json"
    values = json.loads(path.read_text())
    values["model"] = {"type": "WordLevel", "vocab": values["model"]["vocab"], "unk_token": "[UNK]"}
    path.write_text(json.dumps(values))
    record_again(release)
    with pytest.raises(UsageError, match="'WordLevel'"):
        make("node", release, tmp_path / "package")


def test_packages_hold_the_versions_that_the_clients_are_tested_with() -> None:
    locked = json.loads(LOCK.read_text())["packages"]
    for package in (web.TRANSFORMERS, web.ENGINE, web.TOKENIZERS):
        entry = locked[f"node_modules/{package.name}"]
        assert (entry["version"], entry["integrity"]) == (package.version, package.integrity)
    assert locked[f"node_modules/{ENGINE[0]}"]["version"] == ENGINE[1]
