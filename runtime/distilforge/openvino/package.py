"""The package openvino: whether it is installed, which version it has, and its one Core."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from distilforge.errors import UnavailableError
from distilforge.versions import is_older

if TYPE_CHECKING:
    import openvino

DEVICE = "CPU"
"""OpenVINO's name of the processor, the one device that variants are validated on."""
OLDEST = "2026.4.0"
"""The oldest version that variants were validated with."""
INSTALL = f"pip install 'openvino>={OLDEST}'"
_MODULE = "openvino"
_TELEMETRY = "openvino_telemetry"
_RECORD_SUFFIX = ".dist-info"
_importing = Lock()


def is_installed() -> bool:
    """Whether the package is installed; it is not imported."""
    return find_spec(_MODULE) is not None


def obstacle() -> str | None:
    """Why the package cannot be used, as a clause, from what is installed; it is not imported."""
    if not is_installed():
        return f"openvino is not installed; {INSTALL}"
    version = _installed_version()
    if version is not None and is_older(version, OLDEST):
        return f"{_too_old(version)}; {INSTALL}"
    return None


def prepare() -> None:
    """Import the package; UnavailableError where it fails, or where the package is older than OLDEST.

    Its telemetry is off, unless the application imported the package before: importing it would write an identifier
    into the user's home, and report to its maker over the network.
    """
    try:
        with _importing, _without_telemetry():
            version = import_module(_MODULE).__version__
    # OSError: a shared library that the package brings or needs is absent
    except (ImportError, OSError) as cause:
        raise UnavailableError(f"openvino does not import: {cause}", hint=INSTALL) from cause
    if is_older(version, OLDEST):
        raise UnavailableError(_too_old(version), hint=INSTALL)


def core() -> "openvino.Core":
    """OpenVINO's entry point; the same for all sessions of a process, since it takes a while to make.

    Raises UnavailableError as `prepare` does, and in a process that was forked from one that has used it: OpenVINO may
    wait there without end for threads that only the other process has.
    """
    made, process = _made()
    if process != os.getpid():
        raise UnavailableError(
            "OpenVINO was used before this process was forked, and cannot load a graph here",
            hint="start processes with the method spawn or forkserver, call a session that was opened before the fork, "
            "or open a variant of ONNX Runtime",
        )
    return made


@cache
def _made() -> "tuple[openvino.Core, int]":
    """The entry point, and the process that it was made in."""
    prepare()
    import openvino

    return openvino.Core(), os.getpid()


def _installed_version() -> str | None:
    """The version in the name of the package's .dist-info folder; None where there is no such folder.

    importlib.metadata would take 10 ms to import, and the package itself 200 ms.
    """
    spec = find_spec(_MODULE)
    if spec is None or spec.origin is None:
        return None
    folders = Path(spec.origin).parents[1].glob(f"{_MODULE}-*{_RECORD_SUFFIX}")
    versions = (path.name.removeprefix(f"{_MODULE}-").removesuffix(_RECORD_SUFFIX) for path in folders)
    return next(versions, None)


def _too_old(version: str) -> str:
    return f"openvino {version} is too old: variants were validated with {OLDEST} and later"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Keep OpenVINO's telemetry from being imported; without it, OpenVINO does not report anything."""
    if _TELEMETRY in sys.modules:
        yield
        return
    # None makes an import fail, as if the package were not installed
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
