"""Arrays on a CUDA device, which other libraries in the process read and write too, without copies to the host.

Libraries exchange them by DLPack, or by the attribute `__cuda_array_interface__`:
https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from distilforge.cuda import dlpack
from distilforge.cuda.runtime import Cuda
from distilforge.errors import DistilforgeError, InputError

_INTERFACE = "__cuda_array_interface__"
# CUDA's legacy default stream, in both protocols
_DEFAULT_STREAM = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceArray:
    """A contiguous array on a device, for torch.from_dlpack, cupy.from_dlpack and alike; its work has ended."""

    address: int
    """Where it begins."""
    device: int
    """CUDA's number of its device."""
    shape: tuple[int, ...]
    """Its shape."""
    dtype: np.dtype[np.generic]
    """The type of its elements."""
    owner: object
    """Keeps its memory alive."""

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> Mapping[str, object]:
        """The array for libraries that read this protocol, version 3."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": None,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's type and number of the device."""
        return dlpack.CUDA, self.device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """A capsule for a consumer of DLPack; nothing is copied, and no stream has to wait."""
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("an array on a device is shared without a copy")
        return dlpack.export(self.address, self.device, self.shape, self.dtype, self)


def is_on_device(array: object) -> bool:
    """Whether `array` is an array on a CUDA device, of whatever library."""
    if isinstance(array, np.ndarray):
        return False
    if _may_have(array, "__dlpack_device__"):
        try:
            return int(cast("Any", array).__dlpack_device__()[0]) in (dlpack.CUDA, dlpack.CUDA_MANAGED)
        # Another library's code; torch raises ValueError for a tensor without memory
        except Exception:  # noqa: BLE001
            return False
    return _may_have(array, _INTERFACE)


def _may_have(array: object, name: str) -> bool:
    """Whether `array` has the attribute `name`, or one that fails, of which `taken` says how."""
    try:
        return hasattr(array, name)
    # Another library's code
    except Exception:  # noqa: BLE001
        return True


def taken(name: str, array: object, cuda: Cuda, device: int) -> DeviceArray:
    """The input `name` of another library, on the `device` of the engine, after the work that computes it has ended.

    Raises InputError for what is not an array on a CUDA device, is not contiguous or is on another device.
    """
    if not is_on_device(array):
        raise InputError(
            f"the input {name!r} must be an array on a CUDA device, and the {type(array).__name__} that was passed is "
            "not on one",
            hint=f"copy it to cuda:{device}, or pass numpy arrays to `run`",
        )
    if isinstance(array, DeviceArray):
        imported = dlpack.ForeignArray(
            address=array.address,
            device=array.device,
            shape=array.shape,
            strides=None,
            dtype=array.dtype,
            owner=array,
        )
    elif _may_have(array, "__dlpack__"):
        try:
            imported = dlpack.take(cast("Any", array).__dlpack__(stream=_DEFAULT_STREAM))
        # Another library's code, and what it raises
        except Exception as cause:
            raise _unreadable(name, cause, device) from cause
        # The library has let this stream wait for its own
        cuda.wait(_DEFAULT_STREAM)
    else:
        try:
            imported = _from_interface(array, cuda, device)
        except DistilforgeError:
            raise
        # Another library's, as above
        except Exception as cause:
            raise _unreadable(name, cause, device) from cause
    if imported.device < 0:
        raise InputError(
            f"the input {name!r} has an address that is not on a CUDA device",
            hint=f"copy it to cuda:{device}, or pass numpy arrays to `run`",
        )
    if imported.strides is not None and not _is_contiguous(imported.shape, imported.strides):
        raise InputError(
            f"the input {name!r} has the strides {imported.strides} with the shape {imported.shape}; it must be "
            "contiguous",
            hint="make it contiguous on the device, as with tensor.contiguous() or cupy.ascontiguousarray",
        )
    if imported.device != device:
        raise InputError(
            f"the input {name!r} is on cuda:{imported.device}, and the engine runs on cuda:{device}",
            hint=f"copy it to cuda:{device}, or pass providers=('cuda:{imported.device}',) to distilforge.open",
        )
    return DeviceArray(
        address=imported.address,
        device=imported.device,
        shape=imported.shape,
        dtype=imported.dtype,
        owner=imported.owner,
    )


def _unreadable(name: str, cause: Exception, device: int) -> InputError:
    try:
        reason = str(cause)
    # Another library's code
    except Exception:  # noqa: BLE001
        reason = type(cause).__name__
    return InputError(
        f"the input {name!r} cannot be read: {reason}",
        hint=f"pass a contiguous array of numbers on cuda:{device}",
    )


def _from_interface(array: object, cuda: Cuda, device: int) -> dlpack.ForeignArray:
    """The array; any exception for an interface that is not as the protocol has it."""
    interface: Mapping[str, object] = getattr(array, _INTERFACE)
    shape, data = interface["shape"], interface["data"]
    if isinstance(shape, str) or not isinstance(shape, Sequence) or not isinstance(data, Sequence):
        raise TypeError(
            f"the shape and the data of {_INTERFACE} must be tuples, found {shape!r} and {data!r}"
        )
    if interface.get("mask") is not None:
        raise ValueError(f"its {_INTERFACE} has a mask")
    dtype = np.dtype(str(interface["typestr"]))
    strides = interface.get("strides")
    if strides is not None and not isinstance(strides, Sequence):
        raise TypeError(f"the strides of {_INTERFACE} must be a tuple or None, found {strides!r}")
    if strides is not None and any(
        size > 1 and int(stride) % dtype.itemsize for size, stride in zip(shape, strides, strict=True)
    ):
        raise ValueError(f"its strides {strides} are not multiples of an element's {dtype.itemsize} bytes")
    # Before version 3, arrays do not say which stream computes them
    stream = interface.get("stream", _DEFAULT_STREAM)
    if stream is not None:
        if not isinstance(stream, int):
            raise TypeError(f"the stream of {_INTERFACE} must be a whole number, found {stream!r}")
        cuda.wait(stream)
    address = int(data[0])
    return dlpack.ForeignArray(
        address=address,
        device=cuda.device_of(address) if address else device,
        shape=tuple(map(int, shape)),
        strides=None if strides is None else tuple(int(stride) // dtype.itemsize for stride in strides),
        dtype=dtype,
        owner=array,
    )


def _is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether an array of `shape` with `strides`, in elements, has its elements one after the other.

    The stride of an axis of size 1 means nothing; libraries keep that of the array that it was sliced from.
    """
    return all(
        size == 1 or stride == math.prod(shape[axis + 1 :])
        for axis, (size, stride) in enumerate(zip(shape, strides, strict=True))
    )
