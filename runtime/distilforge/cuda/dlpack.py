"""DLPack, the exchange of arrays between libraries in one process, for contiguous arrays on CUDA devices.

The structures are those of dlpack.h, before version 1.0, which all libraries still exchange:
https://dmlc.github.io/dlpack/latest/c_api.html
"""

import atexit
import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

CUDA, CUDA_MANAGED = 2, 13
"""DLPack's numbers of the memory of a CUDA device, and of memory that moves between device and host."""
_KINDS: Final = {0: "i", 1: "u", 2: "f"}
_NAME, _USED_NAME = b"dltensor", b"used_dltensor"


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _ManagedTensor(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_ManagedTensor))
_ManagedTensor._fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]

_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", ctypes.pythonapi)
)
# A capsule that is being destroyed cannot be passed as an object
_is_named = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_pointer_of_destroyed = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class _Exported:
    """What an exported tensor points to; it lives until the deleter is called."""

    def __init__(
        self, address: int, device: int, shape: Sequence[int], dtype: np.dtype[np.generic], owner: object
    ) -> None:
        self.owner = owner
        self.shape = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        code = next(code for code, kind in _KINDS.items() if kind == dtype.kind)
        self.managed = _ManagedTensor(
            tensor=_Tensor(
                data=address,
                device=_Device(type=CUDA, id=device),
                ndim=len(shape),
                dtype=_DataType(code=code, bits=8 * dtype.itemsize, lanes=1),
                shape=ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64)),
            ),
            context=id(self),
            deleter=_delete,
        )


_exported: dict[int, _Exported] = {}
"""What consumers have, by its `id`."""


def _release(managed: "ctypes._Pointer[_ManagedTensor]") -> None:
    _exported.pop(managed.contents.context, None)


@atexit.register
def _let_go() -> None:
    """Take the deleters back: a library may free its arrays after Python has ended, when none can be called."""
    # Another thread may take or let go of an array meanwhile
    for exported in tuple(_exported.values()):
        exported.managed.deleter = _Deleter()


def _release_unused(capsule: int) -> None:
    # A consumer renames a capsule, and then calls the deleter itself
    if _is_named(capsule, _NAME):
        pointer = _pointer_of_destroyed(capsule, _NAME)
        _release(ctypes.cast(pointer, ctypes.POINTER(_ManagedTensor)))


# C calls them, so that they must live as long as this module
_delete = _Deleter(_release)
_destroy_capsule = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_release_unused)


def export(
    address: int, device: int, shape: Sequence[int], dtype: np.dtype[np.generic], owner: object
) -> object:
    """A capsule for the contiguous array at `address` of a CUDA device; `owner` lives as long as it is used."""
    exported = _Exported(address, device, shape, dtype, owner)
    _exported[id(exported)] = exported
    return _new_capsule(
        ctypes.addressof(exported.managed), _NAME, ctypes.cast(_destroy_capsule, ctypes.c_void_p)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignArray:
    """An array of another library."""

    address: int
    """Where it begins."""
    device: int
    """CUDA's number of its device."""
    shape: tuple[int, ...]
    """Its shape."""
    strides: tuple[int, ...] | None
    """Its strides in elements; None for a contiguous array."""
    dtype: np.dtype[np.generic]
    """The type of its elements."""
    owner: object
    """Keeps it alive."""


class _Owner:
    """Calls the deleter of another library when nothing uses the array any more."""

    def __init__(self, pointer: int) -> None:
        self._managed = ctypes.cast(pointer, ctypes.POINTER(_ManagedTensor))

    def __del__(self) -> None:
        if self._managed.contents.deleter:
            self._managed.contents.deleter(self._managed)


def take(capsule: object) -> ForeignArray:
    """The array of a capsule that `__dlpack__` returned; ValueError for one that is not for a CUDA device."""
    pointer = _pointer_of(capsule, _NAME)
    tensor = ctypes.cast(pointer, ctypes.POINTER(_ManagedTensor)).contents.tensor
    kind = _KINDS.get(tensor.dtype.code)
    if tensor.device.type not in (CUDA, CUDA_MANAGED):
        raise ValueError(f"it is on a device of DLPack's type {tensor.device.type}, not on a CUDA device")
    if kind is None or tensor.dtype.lanes != 1 or tensor.dtype.bits % 8:
        raise ValueError(
            f"its elements have DLPack's type {tensor.dtype.code} of {tensor.dtype.bits} bits, and numpy has none such"
        )
    dtype = np.dtype(f"{kind}{tensor.dtype.bits // 8}")
    _rename(capsule, _USED_NAME)
    return ForeignArray(
        address=(tensor.data or 0) + tensor.byte_offset,
        device=tensor.device.id,
        shape=tuple(tensor.shape[axis] for axis in range(tensor.ndim)),
        strides=tuple(tensor.strides[axis] for axis in range(tensor.ndim)) if tensor.strides else None,
        dtype=dtype,
        owner=_Owner(pointer),
    )
