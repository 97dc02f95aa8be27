"""Opens releases with other versions of onnxruntime, and compares their answers with those of this environment's.

Usage: python -m tests.clients.onnxruntime_versions [--versions 1.24.1,1.28.0] RELEASE...

Without --versions it tries the oldest version that runtime/pyproject.toml allows, and one between that and the version
of constraints.txt, with which everything else is tested. Each version is installed into a virtual environment of its
own, below .ci-environments. Exits 1 if an answer differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".ci-environments"
ANSWERS = Path(__file__).with_name("answers.py")
BETWEEN = "1.26.0"
"""A version between the oldest and the one of constraints.txt."""
PACKAGES = ("numpy", "tokenizers")
"""What the runtime needs besides onnxruntime, in the versions of constraints.txt."""
FP32_NOISE = 1e-4
"""float32 kernels that add in another order differ by about 3e-5 of the spread; a wrong mask by 0.1 and more."""
INT8_NOISE = 0.3
"""Kernels of another version may round to the next step of 8 bits, as the gate of INT8 allows; a wrong mask gives 0.5
and more."""


def main() -> int:
    """Print a line for each version and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", default=f"{oldest()},{BETWEEN}")
    parser.add_argument("releases", nargs="+", type=Path)
    arguments = parser.parse_args()
    releases = [str(release.resolve()) for release in arguments.releases]
    with tempfile.TemporaryDirectory(prefix="distilforge-") as folder:
        expected = answers(Path(sys.executable), releases, Path(folder) / "expected.npz")
        problems = []
        for version in arguments.versions.split(","):
            observed = answers(environment(version), releases, Path(folder) / f"{version}.npz")
            differing = list(differences(observed, expected))
            problems += differing
            for line in differing:
                sys.stdout.write(f"onnxruntime {version}: {line}\n")
            sys.stdout.write(f"onnxruntime {version}: {len(observed)} arrays, {len(differing)} differ\n")
            sys.stdout.flush()
    return bool(problems)


def oldest() -> str:
    """The oldest onnxruntime that the runtime's dependencies allow."""
    project = tomllib.loads((ROOT / "runtime/pyproject.toml").read_text(encoding="utf-8"))["project"]
    (floor,) = [
        text.partition(">=")[2] for text in project["dependencies"] if text.startswith("onnxruntime>=")
    ]
    return str(floor)


def environment(version: str) -> Path:
    """The Python of a virtual environment with onnxruntime `version`, which is made if needed."""
    folder = ENVIRONMENTS / f"onnxruntime-{version}"
    python = folder / "bin" / "python"
    complete = folder / ".complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "--disable-pip-version-check",
            "install",
            "--quiet",
        ]
        subprocess.run([*pip, f"onnxruntime=={version}", *pinned()], check=True)
        complete.touch()
    return python


def pinned() -> list[str]:
    """The versions of PACKAGES in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.partition("==")[0] in PACKAGES]


def answers(python: Path, releases: Sequence[str], output: Path) -> dict[str, "np.ndarray"]:
    """The answers of `releases` in the environment of `python`, by the name of release, variant, output and way."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "runtime")}
    subprocess.run([python, ANSWERS, output, *releases], check=True, env=variables)
    with np.load(output) as arrays:
        return dict(arrays)


def differences(observed: dict[str, "np.ndarray"], expected: dict[str, "np.ndarray"]) -> Iterator[str]:
    """A line for each array of `observed` that is not that of `expected`; only INT8 may be absent."""
    for name, array in expected.items():
        if name not in observed:
            if ":fp32" in name:
                yield f"{name} is missing"
            continue
        limit = FP32_NOISE if ":fp32" in name else INT8_NOISE
        noise = float(np.sqrt(np.mean((observed[name] - array) ** 2)) / array.std())
        if not noise <= limit:
            yield f"{name} differs by {noise:.2g} of its spread; at most {limit:g} is allowed"


if __name__ == "__main__":
    sys.exit(main())
