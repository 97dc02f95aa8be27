"""This user's cache: files that are slow to make and can be made again."""

import os
import sys
from pathlib import Path


def folder(name: str) -> Path:
    """The folder `distilforge/NAME` in the user's cache, which may not exist yet.

    The cache is XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on macOS and LOCALAPPDATA on Windows. Raises
    RuntimeError if this user has no home folder.
    """
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "distilforge" / name
