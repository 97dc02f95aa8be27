"""Stores in a folder of this machine and on a file system in memory, which has neither locks nor renames."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.stores import Shop


@pytest.fixture(params=["file", "memory"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "file":
        yield Shop(url=str(tmp_path / "store"), folder=tmp_path)
        return
    yield Shop(url="memory://shop", folder=tmp_path)
    files = fsspec.filesystem("memory")
    if files.exists("/shop"):
        files.rm("/shop", recursive=True)
