"""The CUDA driver and the device of this machine, asked without any toolkit."""

import ctypes
from dataclasses import dataclass

_LIBRARY = "libcuda.so.1"
# cudaDevAttrComputeCapabilityMajor and -Minor of the driver's interface, cuda.h
_MAJOR = 75
_MINOR = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device that TensorRT would build on: its compute capability, "" where there is none; `absence` says why."""

    capability: str = ""
    absence: str = ""


def device() -> Device:
    """The first device that the CUDA driver shows."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError as cause:
        return Device(absence=f"there is no CUDA driver ({cause})")
    status = driver.cuInit(0)
    if status:
        return Device(absence=f"the CUDA driver does not start (cuInit returned {status})")
    handle = ctypes.c_int()
    status = driver.cuDeviceGet(ctypes.byref(handle), 0)
    if status:
        return Device(absence=f"the CUDA driver shows no device (cuDeviceGet returned {status})")
    numbers = [ctypes.c_int(), ctypes.c_int()]
    for number, attribute in zip(numbers, (_MAJOR, _MINOR), strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, handle)
    return Device(capability=".".join(str(number.value) for number in numbers))
