"""The release as a wheel, which pip installs and Python imports."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest
from distilforge.errors import ReleaseError

from pipeline.packages import wheel
from pipeline.packages.assembly import testing
from tests.integration.pipeline.packages.packaging import make, random_release


def test_its_module_answers_in_two_lines(tmp_path: Path) -> None:
    package = make("wheel", random_release("question_answering"), tmp_path / "package")
    result = testing.run(package.record, package.folder)
    assert result.client.startswith("distilforge ")
    assert (result.examples, result.largest_error) == (2, 0.0)


def test_its_metadata_and_its_bytes(tmp_path: Path) -> None:
    release = random_release("features")
    paths = [
        next(make("wheel", release, tmp_path / name).folder.glob("*_release-*.whl"))
        for name in ("one", "two")
    ]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}) == 1
    assert paths[0].name.startswith("random_features_release-2026.1.1.0+")
    with zipfile.ZipFile(paths[0]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        assert "Requires-Dist: distilforge>=" in archive.read(name).decode()
        assert "random_features_release/release/manifest.json" in archive.namelist()


@pytest.mark.parametrize("created", ["", "yesterday", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_is_none_is_named(created: str) -> None:
    with pytest.raises(ReleaseError, match=f"was created at {re.escape(repr(created))}, which is not a time"):
        wheel._version(created, "0123456789ab")
