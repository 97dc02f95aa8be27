"""What processes of a timing inherit."""

import os
import sys


def inherited() -> dict[str, str]:
    """This process's environment, in which a child finds the same modules, whichever way they came in here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
