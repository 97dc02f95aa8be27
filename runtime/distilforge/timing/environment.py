"""The environment of the processes that this package starts."""

import os
import sys


def child_environment() -> dict[str, str]:
    """This process's environment, with its whole module path, so that a child imports the same modules.

    Python would put the current folder before the module path of `python -m`, and import the files of whoever wrote
    that folder. A child takes the current folder only if this process does.
    """
    path = [entry or os.curdir for entry in sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
