"""Memory that grows when needed: each tensor has memory on the device and pinned memory on the host."""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from distilforge.cuda.runtime import Cuda
from distilforge.engine import Array

_PAGE_BYTES = 4096


class Buffer:
    """Memory of one kind, which is empty at first."""

    def __init__(self, allocate: Callable[[int], int], free: Callable[[int], None]) -> None:
        self._allocate = allocate
        self._free = free
        self.address = 0
        self.size = 0

    def hold(self, size: int) -> bool:
        """Have at least `size` bytes, and return whether the memory moved and lost its content."""
        if self.address and size <= self.size:
            return False
        # The old memory is freed first: both together might not fit
        larger = grown(self.size, size)
        self.close()
        self.address = self._allocate(larger)
        self.size = larger
        return True

    def close(self) -> None:
        address, self.address, self.size = self.address, 0, 0
        if address:
            self._free(address)


def grown(size: int, needed: int) -> int:
    """The new size, in whole pages: `needed`, but at least half more than `size`, so that memory rarely moves."""
    larger = max(needed, size + size // 2, 1)
    return -(-larger // _PAGE_BYTES) * _PAGE_BYTES


class Staging:
    """One tensor's memory, on the host and on the device."""

    def __init__(self, cuda: Cuda, allocate: Callable[[int], int]) -> None:
        """`allocate` takes memory on the device, which `cuda` frees."""
        self._cuda = cuda
        self._host = Buffer(cuda.allocate_pinned, cuda.free_pinned)
        self._device = Buffer(allocate, cuda.free)

    @property
    def device(self) -> int:
        return self._device.address

    def hold(self, size: int) -> bool:
        """Have at least `size` bytes on the device, and return whether its memory moved."""
        return self._device.hold(size)

    def send(self, array: Array, stream: int) -> None:
        """Start copying `array`, for which there must be memory on the device, to it."""
        self._host.hold(array.nbytes)
        self._view(array.shape, array.dtype)[...] = array
        self._cuda.copy_in(self._device.address, self._host.address, array.nbytes, stream)

    def fetch(self, size: int, stream: int) -> None:
        """Start copying `size` bytes from the device; when the stream is done, `received` returns them."""
        self._host.hold(size)
        self._cuda.copy_out(self._host.address, self._device.address, size, stream)

    def received(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """The data of the last `fetch`, as a new array; float16 becomes float32."""
        view = self._view(shape, dtype)
        if np.issubdtype(dtype, np.floating):
            return view.astype(np.float32)
        return view.copy()

    def close(self) -> None:
        """Free both; where freeing one fails, the other is still freed."""
        try:
            self._host.close()
        finally:
            self._device.close()

    def _view(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        count = int(np.prod(shape, dtype=np.int64))
        memory = (ctypes.c_ubyte * (count * dtype.itemsize)).from_address(self._host.address)
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
