"""What killed commands left beside their output."""

import shutil
import time
from pathlib import Path

# No command works on one folder for so long
_AGE_SECONDS = 24 * 3600


def remove(folder: Path, prefix: str) -> None:
    """Remove what is in `folder`, has a name that starts with `prefix`, and was not changed for a day."""
    for old in folder.iterdir():
        if old.name.startswith(prefix) and time.time() - old.stat().st_mtime > _AGE_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
