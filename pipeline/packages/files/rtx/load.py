"""Load the engine and answer the examples, as a proof and as an example of how to load it.

Usage: python load.py

Exits with 1 if an answer is wrong, and with 3 if distilforge is not installed or this machine has no NVIDIA GPU.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import check_files

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Return the exit code."""
    check_files.check(ROOT)
    if find_spec("distilforge") is None:
        sys.stderr.write("the package distilforge is not installed\n")
        return 3
    from distilforge.cuda.driver import survey

    driver = survey()
    if isinstance(driver, str):
        sys.stderr.write(f"the engine needs an NVIDIA GPU, and {driver}\n")
        return 3
    check = [
        sys.executable,
        str(ROOT / "check_answers.py"),
        str(ROOT / "examples.json"),
        str(ROOT / "engine"),
    ]
    return subprocess.run(check, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
