"""Writing so that a crash, a full disk or a power cut leaves the old or the new, never a mixture."""

import os
import shutil
from pathlib import Path


def synchronize(folder: Path) -> None:
    """Flush every file and folder below `folder`, and `folder` itself, to the disk."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _flush(Path(parent) / name)
        _flush(Path(parent))


def rename(aside: Path, final: Path) -> None:
    """Flush the folder `aside` and give it its final name, which no folder may have."""
    synchronize(aside)
    aside.rename(final)
    _flush(final.parent)


def point(link: Path, target: str, aside: Path) -> None:
    """Make the symbolic link `link` name `target`, atomically; `aside` is a free path on the same file system."""
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(link)
    _flush(link.parent)


def empty(folder: Path) -> None:
    """Make `folder` an empty folder, whatever was there."""
    remove(folder)
    folder.mkdir(parents=True)


def remove(folder: Path) -> None:
    """Remove `folder` and all below it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def link_or_copy(source: Path, destination: Path) -> None:
    """The same content under a second name: a hard link where the file system has them, else a copy.

    Only for files of the work folder, which are never changed in place.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)


def copy(source: Path, destination: Path, *, leaving: str) -> None:
    """Copy every file below `source` but the one named `leaving`; unlike shutil's, the first OSError comes as it is."""
    for path in sorted(source.rglob("*")):
        target = destination / path.relative_to(source)
        if path.is_file() and path.name != leaving:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
