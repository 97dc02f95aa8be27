"""Publishers that are killed leave the old release or the new one. `make test-stores` kills twenty for each store."""

from pathlib import Path

import pytest

from tests.store_kills.kill import kills


def test_publishers_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert len(list(kills(str(tmp_path / "store"), tmp_path, {}, times=3, seed=1))) == 3
