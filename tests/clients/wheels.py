"""Installs the runtime's wheel into empty environments: into other Pythons, and with each of its extras alone.

Usage: python -m tests.clients.wheels [--wheels dist] [--pythons python3.10,python3.12] [--extras serve] RELEASE...

Each environment answers the releases, and its answers are compared with those of this environment's onnxruntime. With
an extra, the packages that the extra is for are imported too. An environment that cannot be installed is named with
pip's reason: a Python that PyPI has no onnxruntime for, or an extra whose packages are on another index. Prints a line
for each, and exits 1 if one was installed and does not work, or if the wheel alone cannot be installed here.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.clients.onnxruntime_versions import ANSWERS, ROOT, answers, differences

PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13")
"""The Pythons that are tried where a command of this name runs."""
PROBES: Mapping[str, str] = {
    "tensorrt-rtx": "import tensorrt_rtx, cuda.bindings.driver, distilforge.tensorrt.loading",
    "tensorrt": "import tensorrt, cuda.bindings.driver, distilforge.tensorrt.loading",
    "cuda": "import onnxruntime; assert 'CUDAExecutionProvider' in onnxruntime.get_available_providers()",
    "openvino": "import openvino; openvino.Core().available_devices",
    "onnxruntime-openvino": "import onnxruntime_ep_openvino",
    "trust": "import distilforge.trust.opening, distilforge.trust.signature",
    "bulk": "import distilforge.bulk.run, distilforge.bulk.formats.parquet",
    "ray": "import distilforge.bulk.ray_pool",
    "serve": "import distilforge.serve.server, distilforge.batching.prometheus",
    "plot": "import distilforge.benchmark.plot, matplotlib.figure",
}
"""What uses the packages of each extra."""
# Both packages write the same files; runtime/README.md has the same commands
_CUDA_ALONE = (
    ("uninstall", "--yes", "onnxruntime"),
    ("install", "--force-reinstall", "--no-deps", "onnxruntime-gpu"),
)
_MOST_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment to install."""

    python: str
    """The command that makes it."""
    extra: str = ""
    """The extra that is installed; empty for none."""

    @property
    def name(self) -> str:
        """Its name in the output."""
        return f"{self.python} [{self.extra}]" if self.extra else self.python


class UnavailableEnvironmentError(Exception):
    """An environment could not be installed."""


def main() -> int:
    """Print a line for each environment and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist", help="the folder of the wheels")
    parser.add_argument(
        "--pythons", default=",".join(PYTHONS), help="commands; those that do not run are named"
    )
    parser.add_argument("--extras", default=",".join(extras()), help="extras to install, each alone")
    parser.add_argument("releases", nargs="+", type=Path)
    arguments = parser.parse_args()
    (wheel,) = arguments.wheels.glob("distilforge-*.whl")
    releases = [str(release.resolve()) for release in arguments.releases]
    environments = [
        *(Environment(python=python) for python in arguments.pythons.split(",") if python),
        *(Environment(python=sys.executable, extra=extra) for extra in arguments.extras.split(",") if extra),
    ]
    failed = False
    with tempfile.TemporaryDirectory(prefix="distilforge-wheels-") as folder:
        expected = answers(Path(sys.executable), releases, Path(folder) / "expected.npz")
        for environment in environments:
            place = Path(folder) / "environment"
            try:
                python = install(environment, wheel, place)
                problems = list(check(environment, python, releases, expected, Path(folder) / "observed.npz"))
                failed |= bool(problems)
                result = "; ".join(problems) or f"answers as here, {version(python)}"
            except UnavailableEnvironmentError as error:
                result = f"cannot be installed: {error}"
            sys.stdout.write(f"{environment.name}: {result}\n")
            sys.stdout.flush()
            shutil.rmtree(place, ignore_errors=True)
    return failed


def extras() -> tuple[str, ...]:
    """The extras of the runtime."""
    project = tomllib.loads((ROOT / "runtime/pyproject.toml").read_text(encoding="utf-8"))["project"]
    return tuple(project["optional-dependencies"])


def install(environment: Environment, wheel: Path, place: Path) -> Path:
    """The Python of a new environment in `place` with the wheel; UnavailableEnvironmentError with the reason."""
    _run([environment.python, "-m", "venv", place])
    python = place / "bin" / "python"
    pip = [python, "-I", "-m", "pip", "--disable-pip-version-check"]
    wanted = f"{wheel}[{environment.extra}]" if environment.extra else str(wheel)
    _run([*pip, "install", "--quiet", wanted])
    if environment.extra == "cuda":
        for command in _CUDA_ALONE:
            _run([*pip, *command])
    return python


def check(
    environment: Environment,
    python: Path,
    releases: Sequence[str],
    expected: Mapping[str, np.ndarray],
    output: Path,
) -> Iterator[str]:
    """A text for each thing that does not work."""
    where = subprocess.run(
        [python, "-I", "-c", "import distilforge; print(distilforge.__file__)"],
        check=False,
        capture_output=True,
        text=True,
    )
    if str(python.parent.parent) not in where.stdout:
        yield f"the wheel is not what is imported: {(where.stdout + where.stderr).strip()[-_MOST_LINE:]}"
        return
    if environment.extra and (problem := _problem([python, "-I", "-c", PROBES[environment.extra]])):
        yield f"the extra does not work: {problem}"
    if problem := _problem([python, "-I", ANSWERS, output, *releases]):
        yield f"it does not answer: {problem}"
        return
    with np.load(output) as arrays:
        yield from differences(dict(arrays), dict(expected))


def _problem(command: Sequence[str | Path]) -> str:
    """Why a command failed, in a line; empty if it succeeded."""
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode == 0:
        return ""
    lines = finished.stderr.strip().splitlines() or [f"exit code {finished.returncode}"]
    # pip ends with hints
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines)[-1][:_MOST_LINE]


def version(python: Path) -> str:
    """The versions of Python and onnxruntime in an environment."""
    script = "import platform, onnxruntime; print(platform.python_version(), 'onnxruntime', onnxruntime.__version__)"
    return subprocess.run(
        [python, "-I", "-c", script], check=True, capture_output=True, text=True
    ).stdout.strip()


def _run(command: Sequence[str | Path]) -> None:
    try:
        problem = _problem(command)
    except FileNotFoundError:
        problem = f"there is no {command[0]} here"
    if problem:
        raise UnavailableEnvironmentError(problem)


if __name__ == "__main__":
    sys.exit(main())
