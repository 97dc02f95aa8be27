"""Paths of users and recipes, which may be any text.

`Path.is_file` raises OSError for a name that is too long, and os.path does not.
"""

import os
from pathlib import Path

from pipeline.errors import UsageError


def is_file(path: Path) -> bool:
    """Whether there is a file at `path`; False for a path that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113 - see above


def exists(path: Path) -> bool:
    """Whether there is anything at `path`; False for a path that nothing can have."""
    return os.path.exists(path)  # noqa: PTH110 - see above


def check_writable(output: Path) -> None:
    """Raise UsageError where `output` cannot be written, before any work; its folder is made where it is missing."""
    obstacle = ""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not output.is_file():
            obstacle = "it exists and is not a file"
        elif not os.access(output.parent, os.W_OK):
            obstacle = f"the folder {output.parent} is not writable"
    except OSError as cause:
        obstacle = str(cause)
    if obstacle:
        raise UsageError(f"{output} cannot be written: {obstacle}", hint="choose another --output")
