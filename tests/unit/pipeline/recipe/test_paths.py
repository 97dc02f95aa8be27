"""Any text is a path, of a file or of nothing."""

from pathlib import Path

import pytest

from pipeline.recipe import paths

NO_FILES = ("x" * 5_000, "a\0b", "", ".", "absent", "file/below")


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert not paths.is_file(tmp_path / name)
    assert paths.exists(tmp_path / name) == (name in ("", "."))


def test_files_and_links(tmp_path: Path) -> None:
    (tmp_path / "own").touch()
    (tmp_path / "link").symlink_to("own")
    (tmp_path / "loop").symlink_to("loop")
    assert [name for name in ("own", "link", "loop") if paths.is_file(tmp_path / name)] == ["own", "link"]
    assert paths.exists(tmp_path)
