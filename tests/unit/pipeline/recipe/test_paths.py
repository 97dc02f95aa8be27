"""Any text is a path, of a file or of nothing."""

from pathlib import Path

import pytest

from pipeline.recipe import paths

NO_FILES = ("x" * 5_000, "a\0b", "", ".", "absent", "file/below")


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert not paths.is_file(tmp_path / name)
    assert not paths.is_file_inside(tmp_path, name)
    assert paths.exists(tmp_path / name) == (name in ("", "."))


def test_files_inside_and_outside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (folder / "own", tmp_path / "secret"):
        path.touch()
    (folder / "link").symlink_to("own")
    (folder / "out").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    names = ("own", "link", "out", "loop", "../secret", "../folder/own", str(tmp_path / "secret"))
    assert [name for name in names if paths.is_file_inside(folder, name)] == ["own", "link", "../folder/own"]
    assert paths.is_file(folder / "own")
    assert paths.exists(folder)
