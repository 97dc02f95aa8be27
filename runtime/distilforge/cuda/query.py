"""Asks CUDA's driver for its devices; run as a program, `python query.py LIBRARY`, it prints the answer as JSON.

The driver must not start in an application's own process before a variant for a device is opened: in a process that is
forked from one in which it started, it fails (NVIDIA, "CUDA C++ Programming Guide", cuInit and fork). As a program,
this file imports nothing of the package, so that it starts in milliseconds.
"""

import ctypes
import json
import sys
from typing import Protocol, TypedDict

# The numbers of cuda.h
SUCCESS = 0
_MAJOR, _MINOR = 75, 76
_PCI_BUS_CHARACTERS = 13
MARK = "distilforge: "
"""How the line with the answer begins: a driver may print lines of its own."""


class Ask(Protocol):
    """Calls a function of the driver by its name, and returns the number of an error, 0 for success."""

    def __call__(self, function: str, *arguments: object) -> int: ...


class DeviceAnswer(TypedDict):
    """One device."""

    name: str
    """Its name."""
    major: int
    """The first number of its compute capability."""
    minor: int
    """The second number of its compute capability."""
    pci: str
    """Its address on the PCI bus, such as 0000:65:00.0; empty where the driver does not say."""


class Answer(TypedDict):
    """What the driver said."""

    error: int
    """The number of the first error; 0 if there was none."""
    error_name: str
    """The driver's name for that error; empty if it has none."""
    devices: list[DeviceAnswer]
    """The devices, in the driver's order."""


def library_asker(library: ctypes.CDLL) -> Ask:
    """Calls the functions of a loaded driver."""
    return lambda function, *arguments: int(getattr(library, function)(*arguments))


def query(ask: Ask) -> Answer:
    """Start the driver and describe its devices."""
    devices: list[DeviceAnswer] = []
    count = ctypes.c_int()
    error = ask("cuInit", 0) or ask("cuDeviceGetCount", ctypes.byref(count))
    for index in range(0 if error else count.value):
        handle, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        pci = ctypes.create_string_buffer(_PCI_BUS_CHARACTERS)
        major, minor = ctypes.c_int(), ctypes.c_int()
        error = (
            ask("cuDeviceGet", ctypes.byref(handle), index)
            or ask("cuDeviceGetName", name, len(name), handle)
            or ask("cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, handle)
            or ask("cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, handle)
        )
        if error:
            break
        # Some virtual devices have no address
        located = ask("cuDeviceGetPCIBusId", pci, len(pci), handle) == SUCCESS
        devices.append(
            {
                "name": name.value.decode(errors="replace"),
                "major": major.value,
                "minor": minor.value,
                "pci": pci.value.decode(errors="replace") if located else "",
            }
        )
    return {"error": error, "error_name": _error_name(ask, error) if error else "", "devices": devices}


def _error_name(ask: Ask, error: int) -> str:
    name = ctypes.c_char_p()
    ask("cuGetErrorName", error, ctypes.byref(name))
    return name.value.decode(errors="replace") if name.value else ""


if __name__ == "__main__":
    answered = query(library_asker(ctypes.CDLL(sys.argv[1])))
    sys.stdout.write(f"\n{MARK}{json.dumps(answered)}\n")
