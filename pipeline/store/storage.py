"""File operations after which a crash, a full disk or a power cut leaves the old or the new, never a mixture."""

import os
import shutil
from pathlib import Path


def synchronize(folder: Path) -> None:
    """Flush every file and folder below `folder`, and `folder` itself, to the disk."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _flush(Path(parent) / name)
        _flush(Path(parent))


def commit(staging: Path, final: Path) -> None:
    """Flush the folder `staging` to the disk and rename it to `final`, which must not exist."""
    synchronize(staging)
    staging.rename(final)
    _flush(final.parent)


def replace_link(link: Path, target: str, temporary: Path) -> None:
    """Make the symbolic link `link` point to `target`, atomically.

    `temporary` is a path on the same file system that nothing else uses.
    """
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    _flush(link.parent)


def unfinished(path: Path) -> Path:
    """Where `replace_file` writes first; what is there was left by a process that was killed."""
    return path.with_name(f".{path.name}.new")


def replace_file(path: Path, content: bytes) -> None:
    """Make `content` that of the file `path`, atomically, for one process at a time.

    Somebody may have put a link there, or at `unfinished(path)`: it is replaced, and its target stays.
    """
    temporary = unfinished(path)
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def make_empty(folder: Path) -> None:
    """Make `folder` an empty folder; what is there is removed."""
    remove(folder)
    folder.mkdir(parents=True)


def remove(path: Path) -> None:
    """Remove the file, the link or the folder with its content at `path`, if there is one.

    What a link leads to stays.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, destination: Path) -> None:
    """Give the file `source` a second name: a hard link if the file system supports them, else a copy.

    This is only for files of the work folder, which are never changed in place.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)


def copy_tree(source: Path, destination: Path, *, except_name: str) -> None:
    """Copy every file below `source` except those named `except_name`.

    Raises the first OSError as it is; shutil.copytree would wrap it, which hides that a disk is full.
    """
    for path in sorted(source.rglob("*")):
        target = destination / path.relative_to(source)
        if path.is_file() and path.name != except_name:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
