"""The environment of the processes that compile and parse."""

import os
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def worker_environment() -> dict[str, str]:
    """This process's environment, in which a process that is started with -P imports this pipeline.

    -P keeps a folder called pipeline in the user's current folder from being imported instead.
    """
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
    }
