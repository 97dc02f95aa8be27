"""What tests of the runtime share: a release to change, and a cache that is empty."""

from pathlib import Path

import pytest

from tests.runtime_release import copied


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A copy of a sequence classification release with one variant, for the test to change."""
    return copied("sequence_classification", tmp_path / "release")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's cache, which does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder
