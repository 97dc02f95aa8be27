"""Memory on a device for arrays that applications keep; it is used again when they let go of it."""

import threading
import weakref
from contextlib import ExitStack, suppress
from math import prod

import numpy as np

from distilforge.cuda.arrays import DeviceArray
from distilforge.cuda.captures import captures
from distilforge.cuda.runtime import Cuda, free_on
from distilforge.errors import EngineError
from distilforge.tensorrt.buffers import Buffer, grown


class _Holder:
    """Owns the memory of one array: the memory goes back to its pool with the last reference."""


_LARGEST_WASTE = 2
"""How many times as large as an array its memory may be. Otherwise small arrays would keep large pieces."""
_MOST_IDLE = 16
"""Pieces that wait for the next array; the one that has waited longest is freed first."""


class OutputMemory:
    """Allocates arrays on `device`, the current one, from memory of earlier arrays that has about their size."""

    def __init__(self, cuda: Cuda, device: int) -> None:
        self._cuda = cuda
        self._device = device
        self._lock = threading.RLock()
        self._idle: list[Buffer] = []
        self._closed = False

    def array(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> DeviceArray:
        """A new array with undefined content; EngineError where the memory is full, also without what is idle."""
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
        self.free_idle(most=0)

    def free_idle(self, *, most: int) -> bool:
        """Free memory that no array uses now, but for `most` pieces; False if there is none to free."""
        with self._lock:
            count = max(len(self._idle) - most, 0)
            freed, self._idle = self._idle[:count], self._idle[count:]
        with ExitStack() as stack:
            for buffer in freed:
                stack.callback(self._free, buffer)
        return bool(freed)

    def allocate(self, size: int) -> int:
        """The address of `size` bytes on the device; where they do not fit, idle memory is freed for them."""
        try:
            return self._cuda.allocate(size)
        except EngineError:
            if not self.free_idle(most=0):
                raise
            return self._cuda.allocate(size)

    def _take(self, size: int) -> Buffer:
        buffer = self._idle_buffer(size)
        # Not where an array goes: that may be in the middle of anything, also of the capture of a graph
        self.free_idle(most=_MOST_IDLE)
        if buffer is None:
            buffer = Buffer(self.allocate, self._cuda.free)
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
        """Take out the smallest idle buffer that has at least `size` bytes and not far more, if there is one."""
        largest = grown(0, _LARGEST_WASTE * size)
        with self._lock:
            fitting = [buffer for buffer in self._idle if size <= buffer.size <= largest]
            if not fitting:
                return None
            chosen = min(fitting, key=lambda buffer: buffer.size)
            self._idle.remove(chosen)
            return chosen

    def _put_back(self, buffer: Buffer) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(buffer)
                return
        captures.afterwards(lambda: self._free(buffer))

    def _free(self, buffer: Buffer) -> None:
        # The memory of a device that is lost is lost with it
        with suppress(EngineError):
            free_on(self._cuda, self._device, buffer.close)
