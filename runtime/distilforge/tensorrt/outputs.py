"""Memory on a device for arrays that applications keep; it is used again when they let go of it."""

import threading
import weakref
from math import prod

import numpy as np

from distilforge.cuda.arrays import DeviceArray
from distilforge.cuda.runtime import Cuda
from distilforge.errors import EngineError
from distilforge.tensorrt.buffers import Buffer


class _Holder:
    """Owns the memory of one array: the memory goes back to its pool with the last reference."""


class OutputMemory:
    """Allocates arrays on `device`, from memory of earlier arrays where that is large enough."""

    def __init__(self, cuda: Cuda, device: int) -> None:
        self._cuda = cuda
        self._device = device
        self._lock = threading.RLock()
        self._idle: list[Buffer] = []
        self._closed = False

    def array(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> DeviceArray:
        """A new array with undefined content; EngineError where the memory is full."""
        size = prod(shape) * dtype.itemsize
        buffer = self._take(size)
        holder = _Holder()
        weakref.finalize(holder, self._put_back, buffer).atexit = False
        return DeviceArray(
            address=buffer.address, device=self._device, shape=shape, dtype=dtype, owner=holder
        )

    def close(self) -> None:
        """Free the memory that no array uses now, and the rest when its arrays go."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for buffer in idle:
            self._free(buffer)

    def _take(self, size: int) -> Buffer:
        with self._lock:
            for index, buffer in enumerate(self._idle):
                if buffer.size >= size:
                    return self._idle.pop(index)
        buffer = Buffer(self._cuda.allocate, self._cuda.free)
        buffer.hold(size)
        return buffer

    def _put_back(self, buffer: Buffer) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(buffer)
                return
        self._free(buffer)

    def _free(self, buffer: Buffer) -> None:
        try:
            self._cuda.use(self._device)
            buffer.close()
        except EngineError:
            # The device is lost, and its memory with it
            return
