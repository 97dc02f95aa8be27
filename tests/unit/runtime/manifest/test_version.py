"""A release's version is a digest of what it deploys."""

import hashlib
import json
from collections.abc import Mapping

import pytest
from distilforge.manifest import FileRecord, release_version
from distilforge.manifest.version import is_deployed

FILES: Mapping[str, str] = {"config.json": "a", "onnx/model.onnx": "b", "vocabulär.txt": "c"}
RECIPE = "1" * 64


def records(files: Mapping[str, str]) -> dict[str, FileRecord]:
    return {name: FileRecord(sha256=digit * 64, bytes=1) for name, digit in files.items()}


def test_it_is_the_digest_that_the_format_states() -> None:
    """Written out as artifacts/README.md has it, so that other programs can compute it."""
    listed = json.dumps(
        {name: FILES[name] * 64 for name in sorted(FILES)}, ensure_ascii=False, separators=(",", ":")
    )
    files = hashlib.sha256(listed.encode()).hexdigest()
    expected = hashlib.sha256((files + RECIPE).encode()).hexdigest()[:12]
    assert release_version(records(FILES), RECIPE) == expected


def test_the_order_of_files_does_not_count() -> None:
    reversed_files = dict(reversed(FILES.items()))
    assert release_version(records(reversed_files), RECIPE) == release_version(records(FILES), RECIPE)


@pytest.mark.parametrize("name", ["README.md", "sbom.cdx.json", "validation/report.json"])
def test_descriptions_do_not_count(name: str) -> None:
    assert not is_deployed(name)
    described = records({**FILES, name: "d"})
    assert release_version(described, RECIPE) == release_version(records(FILES), RECIPE)


@pytest.mark.parametrize(
    "files",
    [
        {**FILES, "onnx/model.onnx": "d"},
        {**FILES, "onnx/README.md": "d"},
        {**FILES, "validation": "d"},
        {name: digit for name, digit in FILES.items() if name != "config.json"},
    ],
)
def test_every_deployed_file_counts(files: Mapping[str, str]) -> None:
    assert release_version(records(files), RECIPE) != release_version(records(FILES), RECIPE)


def test_the_recipe_counts() -> None:
    assert release_version(records(FILES), "2" * 64) != release_version(records(FILES), RECIPE)
