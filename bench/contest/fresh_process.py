"""Run measuring modules of this project in a fresh process; they print their result as JSON."""

import subprocess
import sys


def last_line(module: str, *arguments: str) -> str:
    """The last line that `module` prints; raises CalledProcessError if it fails."""
    command = (sys.executable, "-m", module, *arguments)
    process = subprocess.run(  # noqa: S603 - a module of this project
        command, stdout=subprocess.PIPE, text=True, check=True
    )
    return process.stdout.strip().splitlines()[-1]
