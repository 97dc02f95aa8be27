"""Modules of ours that measure in a fresh process and print what they measured as JSON."""

import subprocess
import sys


def last_line(module: str, *arguments: str) -> str:
    """The last line that `module` prints; raises CalledProcessError where it fails."""
    command = (sys.executable, "-m", module, *arguments)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - a module of ours
    return done.stdout.strip().splitlines()[-1]
