"""Test this package: install the wheel into a temporary folder, import its module, and answer the examples.

Usage: python self_test.py

Exits with 1 if an answer is wrong, and with 3 if distilforge is not installed.
"""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import check_files

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Return the exit code."""
    check_files.check(ROOT)
    if find_spec("distilforge") is None:
        sys.stderr.write(
            "the package distilforge is not installed: pip install --find-links . *_release-*.whl\n"
        )
        return 3
    # The runtime's wheel lies beside the release's
    (wheel,) = (path for path in ROOT.glob("*.whl") if not path.name.startswith("distilforge-"))
    module = wheel.name.partition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            folder,
        ]
        subprocess.run([*pip, str(wheel)], check=True)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
        check = [sys.executable, str(ROOT / "check_answers.py"), str(ROOT / "examples.json"), module]
        return subprocess.run(check, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
