"""Asks CUDA's driver about this machine, through ctypes: no package is needed, and no device is initialized."""

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from distilforge.cuda.capabilities import Capability

# The numbers of cuda.h
_SUCCESS, _NO_DEVICE = 0, 100
_MAJOR, _MINOR = 75, 76

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class Ask(Protocol):
    """Calls a function of the driver by its name, and returns the number of an error, 0 for success."""

    def __call__(self, function: str, *arguments: object) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU."""

    index: int
    """CUDA's number of it."""
    name: str
    """Its name, such as "NVIDIA H100"."""
    capability: Capability
    """Its compute capability."""

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
    """The driver and its devices, or a clause that says what this machine lacks; cached for the process."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as cause:
        return f"this machine has no NVIDIA driver ({cause})"
    return asked(lambda function, *arguments: int(getattr(library, function)(*arguments)))


def asked(ask: Ask) -> Driver | str:
    """The driver and its devices, or a clause where it has no device or does not start."""
    number = ctypes.c_int()
    if ask("cuDriverGetVersion", ctypes.byref(number)) != _SUCCESS:
        return "this machine's NVIDIA driver does not say its version"
    version = number.value // 1000, number.value % 1000 // 10
    shown = f"this machine's NVIDIA driver, for CUDA {version[0]}.{version[1]},"
    error = ask("cuInit", 0)
    if error == _SUCCESS:
        error = ask("cuDeviceGetCount", ctypes.byref(number))
    if error == _NO_DEVICE or (error == _SUCCESS and number.value == 0):
        return f"{shown} sees no GPU; CUDA_VISIBLE_DEVICES or a container may hide it"
    if error != _SUCCESS:
        return f"{shown} does not start: {_error_name(ask, error)}"
    return Driver(version=version, devices=tuple(_device(ask, index) for index in range(number.value)))


def _device(ask: Ask, index: int) -> Device:
    handle, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    ask("cuDeviceGet", ctypes.byref(handle), index)
    ask("cuDeviceGetName", name, len(name), handle)
    return Device(
        index=index,
        name=name.value.decode(errors="replace"),
        capability=(_attribute(ask, _MAJOR, handle), _attribute(ask, _MINOR, handle)),
    )


def _attribute(ask: Ask, attribute: int, handle: ctypes.c_int) -> int:
    value = ctypes.c_int()
    ask("cuDeviceGetAttribute", ctypes.byref(value), attribute, handle)
    return value.value


def _error_name(ask: Ask, error: int) -> str:
    name = ctypes.c_char_p()
    ask("cuGetErrorName", error, ctypes.byref(name))
    return f"{name.value.decode() if name.value else 'CUDA error'} ({error})"
