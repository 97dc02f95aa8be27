"""Install this release without a network, and answer its examples as a proof.

Usage: python3 install.py [FOLDER]

Makes a virtual environment in FOLDER (default: `environment` beside this file) of the wheels in this archive. The
digest of every wheel is checked. Exits with 2 for a Python that the wheels are not for, and with 1 if an answer is
wrong.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Return the exit code."""
    expected = (ROOT / "python-version").read_text(encoding="utf-8").strip()
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if running != expected:
        sys.stderr.write(f"the wheels are for Python {expected}, and this is Python {running}\n")
        return 2
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / "environment"
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    offline = ["--quiet", "--no-index", "--find-links", str(ROOT / "wheels"), "--require-hashes"]
    requirements = str(ROOT / "requirements.txt")
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "install", *offline, "-r", requirements],
        check=True,
        # The paths in requirements.txt begin there
        cwd=ROOT,
    )
    check = [python, str(ROOT / "check_answers.py"), str(ROOT / "examples.json"), str(ROOT / "release")]
    return subprocess.run(check, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
