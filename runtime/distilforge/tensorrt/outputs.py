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
    """Allocates arrays on `device`, the current one, from memory of earlier arrays where that is large enough."""

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
        buffer = self._idle_buffer(size)
        if buffer is None:
            buffer = Buffer(self._cuda.allocate, self._cuda.free)
            buffer.hold(size)
            return buffer
        try:
            # Whoever had the array may still have work that reads it, on a stream that only they know
            self._cuda.wait_for_device()
        except BaseException:
            self._put_back(buffer)
            raise
        return buffer

    def _idle_buffer(self, size: int) -> Buffer | None:
        """Take out an idle buffer of at least `size` bytes, if there is one."""
        with self._lock:
            for index, buffer in enumerate(self._idle):
                if buffer.size >= size:
                    return self._idle.pop(index)
        return None

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
