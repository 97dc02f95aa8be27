"""Installs a tar package in an empty environment without a network, and answers its examples.

Usage: python -m tests.clients.offline RELEASE

Making the package needs a network, installing it does not: `unshare` takes it away, for which one must be root. Exits
with 1 if the installation fails or an answer is wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.stderr.write("only root can take the network away\n")
        return 3
    with tempfile.TemporaryDirectory(prefix="distilforge-") as temporary:
        package = Path(temporary) / "package"
        program = [str(Path(sys.executable).with_name("distilforge")), "package", str(arguments.release)]
        subprocess.run([*program, "--for", "tar", "--output", str(package)], check=True)
        # Without PYTHONPATH and the virtual environment, so that nothing of this environment helps
        variables = {"PATH": "/usr/bin:/bin", "HOME": temporary}
        python = str(
            Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        )
        command = ["unshare", "--net", python, "self_test.py"]
        return subprocess.run(command, cwd=package, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
