"""The user's cache is where each system has it, and holds what this user wrote."""

import os
import sys
from pathlib import Path

import pytest
from distilforge import user_cache
from distilforge.errors import UnavailableError


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


@pytest.mark.parametrize("value", ["", "relative", "./cache", "../cache"])
def test_a_folder_that_is_not_absolute_is_ignored(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert user_cache.folder("benchmarks") == tmp_path / "home" / ".cache" / "distilforge" / "benchmarks"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `distilforge` of an existing cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "distilforge" / "benchmarks").mkdir(mode=0o700, parents=True)
    return tmp_path / "distilforge"


@pytest.mark.parametrize("name", ["", "benchmarks"])
def test_a_folder_that_every_user_can_write_is_not_trusted(own: Path, name: str) -> None:
    (own / name).chmod(0o777)
    with pytest.raises(UnavailableError, match=r"is not trusted: its mode 0777 (?s:.*)hint: .*chmod o-w"):
        user_cache.folder("benchmarks")


def test_a_folder_of_another_user_is_not_trusted(own: Path) -> None:
    owner = 12345
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(own / "benchmarks", owner, -1)
    with pytest.raises(
        UnavailableError, match=rf"belongs to the user with the id {owner}(?s:.*)XDG_CACHE_HOME"
    ):
        user_cache.folder("benchmarks")


def test_a_link_of_another_user_is_not_trusted(own: Path, tmp_path: Path) -> None:
    """What it leads to is this user's now, and may be that user's when it is read."""
    owner = 12345
    if os.geteuid() != 0:
        pytest.skip("only root can give a link away")
    mine = tmp_path / "mine"
    (own / "benchmarks").rename(mine)
    (own / "benchmarks").symlink_to(mine)
    assert user_cache.folder("benchmarks") == own / "benchmarks"
    os.chown(own / "benchmarks", owner, -1, follow_symlinks=False)
    with pytest.raises(UnavailableError, match=f"belongs to the user with the id {owner}"):
        user_cache.folder("benchmarks")


def test_a_folder_that_a_group_can_write_is_trusted(own: Path) -> None:
    """The usual mode where each user has a group of its own."""
    own.chmod(0o775)
    assert user_cache.folder("benchmarks") == own / "benchmarks"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(
        UnavailableError, match=r"no folder for this user's cache(?s:.*)hint: set XDG_CACHE_HOME"
    ):
        user_cache.folder("benchmarks")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache.folder("benchmarks") == tmp_path / "distilforge" / "benchmarks"
