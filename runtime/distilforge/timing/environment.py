"""The environment of the processes that a timing starts."""

import os
import sys


def child_environment() -> dict[str, str]:
    """This process's environment, with its whole module path, so that a child imports the same modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
