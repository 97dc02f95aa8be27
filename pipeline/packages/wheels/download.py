"""Downloads the wheels that the runtime needs, for a named machine and Python."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.errors import StageError
from pipeline.packages.wheels import runtime

PLATFORMS: Mapping[str, tuple[str, ...]] = {
    machine: tuple(f"manylinux_{glibc}_{machine}" for glibc in ("2_17", "2_24", "2_26", "2_27", "2_28"))
    for machine in ("x86_64", "aarch64")
}
"""For each processor the platforms whose wheels are taken: those for glibc 2.28 (2018) and older."""
_SHOWN_CHARACTERS = 2000


def pins(validated: Mapping[str, str], onnxruntime: str | None) -> tuple[str, ...]:
    """A version for every package that the runtime needs: the validated one, or else the one that is installed here.

    `validated` are the versions by name with which the release was built. `onnxruntime` replaces its version.
    """
    versions = {name: _installed(name) for name in _needed(runtime.requirements())}
    versions |= {name: version for name, version in validated.items() if name in versions}
    if onnxruntime is not None:
        versions["onnxruntime"] = onnxruntime
    return tuple(f"{name}=={version}" for name, version in sorted(versions.items()) if version is not None)


def download(
    requirements: Sequence[str], constraints: Path, folder: Path, *, platform: str, python: str
) -> None:
    """Download wheels of `requirements` and of all that they need into `folder`; StageError if one is not to be had.

    `constraints` is a file with a version for each package.
    """
    tags = [option for tag in PLATFORMS[platform] for option in ("--platform", tag)]
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *tags),
        *("--constraint", str(constraints), "--dest", str(folder), *requirements),
    ]
    # The arguments are the runtime's own requirements, and versions of the manifest
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise StageError(
            "package",
            f"pip cannot download the wheels for {platform} and Python {python}: "
            f"{done.stderr[-_SHOWN_CHARACTERS:].strip()}",
            hint="name another Python with --python, or another onnxruntime with --onnxruntime; downloading needs a "
            "network",
        )


def _needed(requirements: Sequence[str]) -> set[str]:
    """The names of the packages that `requirements` need, and those that these need."""
    names: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in names or (
            requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        names.add(name)
        try:
            waiting += distribution(name).requires or ()
        except PackageNotFoundError:
            # pip takes the version that suits the others
            continue
    return names


def _installed(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None
