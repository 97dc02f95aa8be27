"""The user's cache is where each system has it."""

import sys
from pathlib import Path

import pytest
from distilforge import user_cache


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "home/.cache/distilforge/benchmarks"),
        ("darwin", "home/Library/Caches/distilforge/benchmarks"),
        ("win32", "home/AppData/Local/distilforge/benchmarks"),
    ],
)
def test_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert user_cache.folder("benchmarks") == tmp_path / expected


@pytest.mark.parametrize(("platform", "name"), [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")])
def test_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert user_cache.folder("benchmarks") == tmp_path / "elsewhere" / "distilforge" / "benchmarks"
