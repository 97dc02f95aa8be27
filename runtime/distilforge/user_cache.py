"""Where what is slow to make and can be made again is kept for this user."""

import os
import sys
from pathlib import Path


def folder(name: str) -> Path:
    """`distilforge/NAME` in the user's cache folder, as the system has it: XDG_CACHE_HOME, ~/.cache, LOCALAPPDATA."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "distilforge" / name
