"""Compares the files of this package with package-record.json: their digests, and that there are no others."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

RECORD = "package-record.json"
# What Python leaves beside a program that it runs
CACHE = "__pycache__"
# Of desktops, editors, git and virtual environments; nothing in a package reads them
HIDDEN = "."


def check(root: Path) -> None:
    """Exit with 1 and a line that names the first file of the package in the folder `root` that is not as it was."""
    for problem in problems(root):
        sys.exit(f"{problem}; take the package again")


def problems(root: Path) -> Iterator[str]:
    """What is wrong with the files, a clause each."""
    try:
        listed = json.loads((root / RECORD).read_text(encoding="utf-8"))["files"]
        digests = {name: entry["sha256"] for name, entry in listed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        yield f"{RECORD} cannot be read ({type(cause).__name__}: {cause})"
        return
    for name, digest in digests.items():
        path = root / name
        if not path.is_file():
            yield f"{name} is missing"
        elif sha256(path) != digest:
            yield f"{name} does not have the SHA-256 that {RECORD} lists"
    for name in sorted(names(root) - digests.keys() - {RECORD}):
        yield f"{name} is not one of the package's files"


def names(root: Path) -> set[str]:
    """All files below `root` that are not hidden, relative to it."""
    found = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != CACHE and not name.startswith(HIDDEN)]
        # A link to a folder is not followed
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        named = [*links, *(name for name in files if not name.startswith(HIDDEN))]
        found |= {(Path(folder) / name).relative_to(root).as_posix() for name in named}
    return found


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
