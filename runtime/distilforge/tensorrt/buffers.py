"""Memory that grows as it is needed: every tensor has some on the device and some that is pinned on the host."""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from distilforge.cuda.runtime import Cuda
from distilforge.feeds import Array

_PIECE_BYTES = 4096


class Buffer:
    """Memory of one kind: nothing at first, and never less than what was asked for."""

    def __init__(self, allocate: Callable[[int], int], free: Callable[[int], None]) -> None:
        self._allocate = allocate
        self._free = free
        self.address = 0
        self.size = 0

    def hold(self, size: int) -> bool:
        """Have at least `size` bytes; whether they moved, and what they held was lost."""
        if self.address and size <= self.size:
            return False
        # The old piece goes first: old and new together might not fit.
        wanted = grown(self.size, size)
        self.close()
        self.address = self._allocate(wanted)
        self.size = wanted
        return True

    def close(self) -> None:
        address, self.address, self.size = self.address, 0, 0
        if address:
            self._free(address)


def grown(size: int, needed: int) -> int:
    """Half as much again as `size`, or `needed` where that is more, in whole pieces: slow growth would move often."""
    most = max(needed, size + size // 2, 1)
    return -(-most // _PIECE_BYTES) * _PIECE_BYTES


class Staging:
    """One tensor's memory on both sides."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._host = Buffer(cuda.allocate_pinned, cuda.free_pinned)
        self._device = Buffer(cuda.allocate, cuda.free)

    @property
    def device(self) -> int:
        return self._device.address

    def hold(self, size: int) -> bool:
        """Have at least `size` bytes on both sides; whether the device's moved."""
        self._host.hold(size)
        return self._device.hold(size)

    def send(self, array: Array, stream: int) -> None:
        """Begin to copy `array`, which fits, to the device."""
        self._view(array.shape, array.dtype)[...] = array
        self._cuda.copy_in(self._device.address, self._host.address, array.nbytes, stream)

    def fetch(self, size: int, stream: int) -> None:
        """Begin to copy `size` bytes from the device; `received` has them once the stream was waited for."""
        self._cuda.copy_out(self._host.address, self._device.address, size, stream)

    def received(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """What was fetched, as an array of its own; float16 comes as float32."""
        view = self._view(shape, dtype)
        if np.issubdtype(dtype, np.floating):
            return view.astype(np.float32)
        return view.copy()

    def close(self) -> None:
        self._host.close()
        self._device.close()

    def _view(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        count = int(np.prod(shape, dtype=np.int64))
        memory = (ctypes.c_ubyte * (count * dtype.itemsize)).from_address(self._host.address)
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
