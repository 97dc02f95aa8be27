"""Files of npm packages come from an archive that has its digest, or not at all."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import MissingError
from pipeline.packages.npm import NpmPackage

CONTENT = b"export const answer = 42;\n"


def archive(cache: Path, content: bytes = CONTENT) -> NpmPackage:
    """Write an archive with one file into the cache, and return the package that it is of."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("package/dist/index.mjs")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    path = cache / "distilforge" / "npm" / "@scope+thing-1.2.3.tgz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    digest = base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
    return NpmPackage(
        name="@scope/thing",
        version="1.2.3",
        integrity=f"sha512-{digest}",
        licence="MIT",
        files={"dist/index.mjs": "vendor/thing.js"},
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, and a machine without npm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "cache"


def test_the_wanted_files_are_written_under_their_names(cache: Path, tmp_path: Path) -> None:
    archive(cache).extract(tmp_path / "package")
    assert (tmp_path / "package" / "vendor" / "thing.js").read_bytes() == CONTENT


def test_a_changed_archive_is_fetched_again(cache: Path, tmp_path: Path) -> None:
    package = archive(cache)
    archive(cache, b"export const answer = 41;\n")
    with pytest.raises(MissingError, match=r"npm is not installed.*@scope/thing@1\.2\.3") as refused:
        package.extract(tmp_path / "package")
    assert "Node.js" in refused.value.hint
    assert not (tmp_path / "package").exists()


def test_an_archive_with_another_digest_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = archive(cache)
    served = cache / "served.tgz"
    archive(cache, b"stolen").extract(tmp_path / "other")
    (cache / "distilforge" / "npm" / "@scope+thing-1.2.3.tgz").rename(served)
    # An npm that writes another archive into the folder after --pack-destination
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\n/bin/cp "{served}" "$6/thing.tgz"\n')
    npm.chmod(0o755)
    with pytest.raises(MissingError, match=r"has the digest sha512-.*must have sha512-") as refused:
        package.extract(tmp_path / "package")
    assert "do not use it" in refused.value.hint
    assert not (cache / "distilforge" / "npm" / "@scope+thing-1.2.3.tgz").exists()
