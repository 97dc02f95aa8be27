"""Asks CUDA's driver about this machine, through ctypes: no package is needed, and nothing starts in this process."""

import ctypes
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from distilforge.cuda.capabilities import Capability
from distilforge.cuda.query import MARK, SUCCESS, Answer, Ask, library_asker, query

# The number of cuda.h
_NO_DEVICE = 100
# A driver that is just loaded by the system takes a few seconds
_LONGEST_SECONDS = 60.0
_QUERY = Path(__file__).with_name("query.py")

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU."""

    index: int
    """CUDA's number of it."""
    name: str
    """Its name, such as "NVIDIA H100"."""
    capability: Capability
    """Its compute capability."""
    pci: str = ""
    """Its address on the PCI bus, such as 0000:65:00.0; empty where the driver does not say."""

    @property
    def provider(self) -> str:
        """The device's name in `providers`."""
        return f"cuda:{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver with at least one device."""

    version: tuple[int, int]
    """The newest version of CUDA that the driver runs, major and minor."""
    devices: tuple[Device, ...]
    """The devices."""


@cache
def survey() -> Driver | str:
    """The driver and its devices, or a clause that says what this machine lacks; cached for the process.

    The driver starts in a process of its own (distilforge.cuda.query), so that this one may still be forked.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as cause:
        return f"this machine has no NVIDIA driver ({cause})"
    ask = library_asker(library)
    python = _interpreter()
    return asked(ask, None if python is None else partial(_query_in_a_process, python))


def asked(ask: Ask, start: Callable[[], Answer | str] | None = None) -> Driver | str:
    """The driver and its devices, or a clause where it has no device or does not start.

    `ask` is asked for the version, for which the driver need not start, and `start` for the rest; without `start`,
    `ask` is asked for that too.
    """
    number = ctypes.c_int()
    if ask("cuDriverGetVersion", ctypes.byref(number)) != SUCCESS:
        return "this machine's NVIDIA driver does not say its version"
    version = number.value // 1000, number.value % 1000 // 10
    shown = f"this machine's NVIDIA driver, for CUDA {version[0]}.{version[1]},"
    answer = query(ask) if start is None else start()
    if isinstance(answer, str):
        return f"{shown} does not start: {answer}"
    error = answer["error"]
    if error == _NO_DEVICE or (error == SUCCESS and not answer["devices"]):
        return f"{shown} sees no GPU; CUDA_VISIBLE_DEVICES or a container may hide it"
    if error != SUCCESS:
        return f"{shown} does not start: {answer['error_name'] or 'CUDA error'} ({error})"
    devices = (
        Device(
            index=index,
            name=device["name"],
            capability=(device["major"], device["minor"]),
            pci=device["pci"],
        )
        for index, device in enumerate(answer["devices"])
    )
    return Driver(version=version, devices=tuple(devices))


def _interpreter() -> str | None:
    """The path of a Python that this process can start; None where there is none, as in a frozen application.

    An application that embeds Python, such as uWSGI, names itself as the executable.
    """
    if getattr(sys, "frozen", False) or not _QUERY.is_file():
        return None
    if Path(sys.executable or "").name.lower().startswith("python"):
        return sys.executable
    folder = Path(sys.exec_prefix)
    paths = (folder / "bin" / "python3", folder / "python.exe")
    return next((str(path) for path in paths if path.is_file()), None)


def _query_in_a_process(python: str) -> Answer | str:
    """The driver's answer from a process of its own, or a clause where that fails."""
    import subprocess  # most machines have no driver, and do not wait for this

    try:
        process = subprocess.run(  # noqa: S603 - our own file
            # Isolated: neither the user's variables nor packages change it
            (python, "-I", "-S", str(_QUERY), LIBRARY),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {_LONGEST_SECONDS:.0f} seconds"
    except OSError as cause:
        return f"{python} cannot be started to ask it ({cause})"
    if process.returncode != 0:
        last = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"the process that asked it ended with exit code {process.returncode}" + (
            f" ({last:.200})" if last else ""
        )
    for line in process.stdout.decode(errors="replace").splitlines():
        if line.startswith(MARK):
            answer: Answer = json.loads(line.removeprefix(MARK))
            return answer
    return "the process that asked it ended without an answer"
