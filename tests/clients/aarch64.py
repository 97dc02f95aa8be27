"""Runs the runtime that a tar package holds on an emulated aarch64 processor, without a network.

Usage: python -m tests.clients.aarch64 RELEASE

Needs Debian's qemu-user and unzipped wheels: the emulator is too slow for pip, so that the wheels are unpacked here.
Python for aarch64 comes from Debian too. onnxruntime is 1.24.4, since later ones crash at import under this emulator
(1.29 and later); a real aarch64 processor has no such limit. Exits with 1 if an answer is wrong.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".ci-environments" / "aarch64"
ONNXRUNTIME = "1.24.4"
EMULATOR = "qemu-aarch64"
PYTHON = "3.11"
PACKAGES = (
    f"python{PYTHON}-minimal libpython{PYTHON}-minimal libpython{PYTHON}-stdlib libc6 libexpat1 zlib1g libssl3 libffi8 "
    "libstdc++6 libgcc-s1 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1"
).split()
"""What Python needs, in Debian 12."""


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ENVIRONMENT)
    parser.add_argument("release", type=Path)
    arguments = parser.parse_args()
    if shutil.which(EMULATOR) is None:
        sys.stderr.write(f"{EMULATOR} is not installed: apt-get install qemu-user\n")
        return 3
    if not (arguments.root / "usr" / "bin").is_dir():
        download_python(arguments.root)
    with tempfile.TemporaryDirectory(prefix="distilforge-") as temporary:
        package = Path(temporary) / "package"
        program = [str(Path(sys.executable).with_name("distilforge")), "package", str(arguments.release)]
        machine = ["--platform", "aarch64", "--python", PYTHON, "--onnxruntime", ONNXRUNTIME]
        subprocess.run([*program, "--for", "tar", *machine, "--output", str(package)], check=True)
        (archive,) = package.glob("*.tar.gz")
        shutil.unpack_archive(archive, temporary)
        unpacked = Path(temporary) / archive.name.removesuffix(".tar.gz")
        for wheel in (unpacked / "wheels").iterdir():
            with zipfile.ZipFile(wheel) as opened:
                opened.extractall(unpacked / "site")
        return check_answers(unpacked, arguments.root)


def check_answers(unpacked: Path, root: Path) -> int:
    """Answer the examples with the emulated Python; the exit code."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(unpacked),
        "PYTHONPATH": str(unpacked / "site"),
        "PYTHONHOME": str(root / "usr"),
    }
    # A new network namespace has no network; only root may make one
    offline = ["unshare", "--net"] if os.geteuid() == 0 else []
    python = [EMULATOR, "-L", str(root), str(root / "usr" / "bin" / f"python{PYTHON}")]
    script = ["check_answers.py", "examples.json", "release"]
    return subprocess.run([*offline, *python, *script], cwd=unpacked, env=variables, check=False).returncode


def download_python(root: Path) -> None:
    """Unpack Debian's Python for aarch64 into `root`; the foreign architecture is removed from apt afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg", "--add-architecture", "arm64"], check=True)
        try:
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            names = [f"{name}:arm64" for name in PACKAGES]
            subprocess.run(["apt-get", "download", "-qq", *names], cwd=folder, check=True)
        finally:
            subprocess.run(["dpkg", "--remove-architecture", "arm64"], check=True)
            subprocess.run(["apt-get", "update", "-qq"], check=True)
        root.mkdir(parents=True, exist_ok=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)


if __name__ == "__main__":
    sys.exit(main())
