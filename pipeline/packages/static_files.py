"""Files that a kind of package copies as they are."""

import shutil
from collections.abc import Sequence
from pathlib import Path

_FILES = Path(__file__).with_name("files")


def copy(kind: str, folder: Path, names: Sequence[str] = ()) -> None:
    """Copy the static files of `kind` into `folder`, with their subfolders: all of them, or those called `names`."""
    source = _FILES / kind
    chosen = names or sorted(
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    for name in chosen:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)


def read(kind: str, name: str) -> str:
    """The text of the static file `name` of `kind`, for a kind that fills in values."""
    return (_FILES / kind / name).read_text(encoding="utf-8")
