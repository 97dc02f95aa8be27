"""Test this package: unpack the archive into a temporary folder, install it without a network, answer the examples.

Usage: python3 self_test.py

Exits with 1 if an answer is wrong, and with 3 if this machine or this Python is not the one that the wheels are for.
"""

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import check_files

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Return the exit code."""
    check_files.check(ROOT)
    (archive,) = ROOT.glob("*.tar.gz")
    for what, needed in (
        (f"linux-{platform.machine()}", "platform"),
        (f"py{sys.version_info.major}.{sys.version_info.minor}", "Python"),
    ):
        if f"-{what}" not in archive.name:
            sys.stderr.write(f"{archive.name} is for another {needed} than this one, {what}\n")
            return 3
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(archive, folder)
        unpacked = Path(folder) / archive.name.removesuffix(".tar.gz")
        install = [sys.executable, str(unpacked / "install.py"), str(Path(folder) / "environment")]
        return subprocess.run(install, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
