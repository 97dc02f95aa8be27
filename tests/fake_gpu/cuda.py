"""CUDA's runtime on this process's memory, with the functions of cuda.bindings.runtime, and one of the driver.

Work on a stream is done only when the stream is waited for, so that memory which is freed or overwritten too early
changes the answers, as on a device. Every call can be made to fail, and what was taken and not freed is counted.
"""

import ctypes
import enum
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import pytest
from distilforge.cuda import runtime
from distilforge.cuda.runtime import CudaPython

MODULE = "fake_cuda_runtime"
DEFAULT_STREAM = 1
Work = Callable[[], None]


class Error(enum.IntEnum):
    """Errors of CUDA's runtime, with its numbers."""

    cudaSuccess = 0  # noqa: N815
    cudaErrorMemoryAllocation = 2  # noqa: N815
    cudaErrorInvalidDevice = 101  # noqa: N815
    cudaErrorIllegalAddress = 700  # noqa: N815
    cudaErrorStreamCaptureUnsupported = 900  # noqa: N815


class CopyKind(enum.IntEnum):
    """The directions of a copy that are used, with CUDA's numbers."""

    cudaMemcpyHostToDevice = 1  # noqa: N815
    cudaMemcpyDeviceToHost = 2  # noqa: N815
    cudaMemcpyDeviceToDevice = 3  # noqa: N815


FREEING = frozenset(
    ("cudaFree", "cudaFreeHost", "cudaStreamDestroy", "cudaGraphDestroy", "cudaGraphExecDestroy")
)
"""The functions that free something: they do so also where they return an error of earlier work."""
ALLOCATING = frozenset(
    ("cudaMalloc", "cudaMallocHost", "cudaStreamCreateWithFlags", "cudaGraphInstantiate", "createContext")
)
"""The functions that take something; `createContext` stands for TensorRT's contexts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One piece of memory."""

    content: "ctypes.Array[ctypes.c_char]"
    """The bytes."""
    device: int | None
    """The device that it is on; None for the host's."""


@dataclass
class FakeCuda:
    """The module cuda.bindings.runtime, with `devices` devices of `most` bytes together."""

    most: int = 1 << 30
    devices: int = 1
    memory: dict[int, Memory] = field(default_factory=dict)
    streams: dict[int, list[Work]] = field(default_factory=dict)
    """The work of each stream that nobody has waited for."""
    graphs: dict[int, list[Work]] = field(default_factory=dict)
    descriptions: dict[int, list[Work]] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    """The devices that have a context."""
    launches: int = 0
    captures_fail: bool = False
    calls: list[str] = field(default_factory=list)
    """The functions that were called, in order; those of `fails` are counted in it."""
    fails: Callable[[str, int], bool] = lambda function, number: False
    """Whether the call of a function fails, by its name and its number in `calls`."""
    error: Error = Error.cudaErrorIllegalAddress
    """The error of calls that `fails` makes fail."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _capturing: dict[int, list[Work]] = field(default_factory=dict)
    _freed: dict[int, Memory] = field(default_factory=dict)
    _device_of_stream: dict[int, int] = field(default_factory=dict)
    _lock_of_stream: dict[int, threading.RLock] = field(default_factory=dict)
    _current: threading.local = field(default_factory=threading.local)
    _handles: int = 1000

    # The module's constants and types
    cudaError_t = Error  # noqa: N815
    cudaMemcpyKind = CopyKind  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815

    def cudaGetErrorString(self, error: Error) -> tuple[Error, bytes]:
        return Error.cudaSuccess, error.name.removeprefix("cudaError").encode()

    def cudaSetDevice(self, device: int) -> tuple[Error]:
        if self.refuses("cudaSetDevice"):
            return (self.error,)
        if not 0 <= device < self.devices:
            return (Error.cudaErrorInvalidDevice,)
        self._current.device = device
        self.used.add(device)
        return (Error.cudaSuccess,)

    def cudaGetDevice(self) -> tuple[Error, int]:
        return (self.error, 0) if self.refuses("cudaGetDevice") else (Error.cudaSuccess, self.device)

    def cuDevicePrimaryCtxGetState(self, device: int) -> tuple[Error, int, int]:
        return Error.cudaSuccess, 0, int(device in self.used)

    def cudaMalloc(self, size: int) -> tuple[Error, int]:
        return self._allocate("cudaMalloc", size, self.device)

    def cudaMallocHost(self, size: int) -> tuple[Error, int]:
        return self._allocate("cudaMallocHost", size, None)

    def cudaFree(self, address: int) -> tuple[Error]:
        return self._free("cudaFree", address)

    def cudaFreeHost(self, address: int) -> tuple[Error]:
        return self._free("cudaFreeHost", address)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: CopyKind, stream: int
    ) -> tuple[Error]:
        if self.refuses("cudaMemcpyAsync"):
            return (self.error,)
        if kind != CopyKind.cudaMemcpyDeviceToHost:
            self.check_device(target, stream)
        if kind != CopyKind.cudaMemcpyHostToDevice:
            self.check_device(source, stream)
        self.enqueue(stream, lambda: self._copy(target, source, size))
        return (Error.cudaSuccess,)

    def cudaPointerGetAttributes(self, address: int) -> tuple[Error, SimpleNamespace]:
        device = self.memory[address].device
        return Error.cudaSuccess, SimpleNamespace(device=-1 if device is None else device)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Error, int]:
        if self.refuses("cudaStreamCreateWithFlags"):
            return self.error, 0
        assert flags == self.cudaStreamNonBlocking
        handle = self._handle()
        self.streams[handle] = []
        self._device_of_stream[handle] = self.device
        self._lock_of_stream[handle] = threading.RLock()
        return Error.cudaSuccess, handle

    def cudaStreamSynchronize(self, stream: int) -> tuple[Error]:
        if self.refuses("cudaStreamSynchronize"):
            # What a failed device was to do is not done
            self.streams.get(stream, []).clear()
            return (self.error,)
        if stream != DEFAULT_STREAM:
            self._finish(stream)
        return (Error.cudaSuccess,)

    def cudaDeviceSynchronize(self) -> tuple[Error]:
        if self.refuses("cudaDeviceSynchronize"):
            return (self.error,)
        own = [stream for stream, device in list(self._device_of_stream.items()) if device == self.device]
        if any(stream in self._capturing for stream in own):
            return (Error.cudaErrorStreamCaptureUnsupported,)
        for stream in own:
            with self._lock_of_stream[stream]:
                if stream in self.streams:
                    self._finish(stream)
        return (Error.cudaSuccess,)

    def cudaStreamDestroy(self, stream: int) -> tuple[Error]:
        refused = self.refuses("cudaStreamDestroy")
        with self._lock_of_stream[stream]:
            del self.streams[stream], self._device_of_stream[stream]
        return (self.error if refused else Error.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[Error]:
        if self.captures_fail:
            return (Error.cudaErrorStreamCaptureUnsupported,)
        if self.refuses("cudaStreamBeginCapture"):
            return (self.error,)
        self._capturing[stream] = []
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Error, int]:
        work = self._capturing.pop(stream)
        if self.refuses("cudaStreamEndCapture"):
            return self.error, 0
        handle = self._handle()
        self.descriptions[handle] = work
        return Error.cudaSuccess, handle

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Error, int]:
        if self.refuses("cudaGraphInstantiate"):
            return self.error, 0
        handle = self._handle()
        self.graphs[handle] = self.descriptions[graph]
        return Error.cudaSuccess, handle

    def cudaGraphDestroy(self, graph: int) -> tuple[Error]:
        refused = self.refuses("cudaGraphDestroy")
        del self.descriptions[graph]
        return (self.error if refused else Error.cudaSuccess,)

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[Error]:
        if self.refuses("cudaGraphLaunch"):
            return (self.error,)
        self.launches += 1
        with self._lock_of_stream[stream]:
            self.streams[stream].extend(self.graphs[graph])
        return (Error.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph: int) -> tuple[Error]:
        refused = self.refuses("cudaGraphExecDestroy")
        del self.graphs[graph]
        return (self.error if refused else Error.cudaSuccess,)

    # What tests and the fake of TensorRT ask

    @property
    def __spec__(self) -> ModuleSpec:
        """Lets `find_spec` find the module."""
        return ModuleSpec(MODULE, None)

    @property
    def device(self) -> int:
        """The current device of this thread, as in CUDA 0 until another is chosen."""
        return int(getattr(self._current, "device", 0))

    @property
    def taken(self) -> int:
        """Bytes that are allocated, on the devices and on the host."""
        return sum(len(memory.content) for memory in self.memory.values())

    @property
    def leaks(self) -> dict[str, int]:
        """How many things of each kind were taken and not freed."""
        kinds = {
            "memory": self.memory,
            "streams": self.streams,
            "graphs": self.graphs,
            "descriptions of graphs": self.descriptions,
            "captures": self._capturing,
        }
        return {kind: len(taken) for kind, taken in kinds.items() if taken}

    def installed(self, patch: pytest.MonkeyPatch) -> CudaPython:
        """The runtime's own access to CUDA, on this module, which takes the place of cuda-bindings."""
        patch.setitem(sys.modules, MODULE, self)  # type: ignore[arg-type]
        patch.setattr(runtime, "MODULE", MODULE)
        patch.setattr(runtime, "DRIVER_MODULE", MODULE)
        return CudaPython()

    def refuses(self, function: str) -> bool:
        """Count the call of `function`, and return whether it is to fail."""
        with self._lock:
            self.calls.append(function)
            return self.fails(function, len(self.calls) - 1)

    def take(self, size: int, device: int | None) -> int | None:
        """The address of `size` bytes on `device`, or None where they do not fit."""
        with self._lock:
            if self.taken + size > self.most:
                return None
            content = ctypes.create_string_buffer(b"\xff" * size, size)
            address = ctypes.addressof(content)
            self.memory[address] = Memory(content=content, device=device)
            return address

    def enqueue(self, stream: int, work: Work) -> None:
        with self._lock_of_stream[stream]:
            (self._capturing[stream] if stream in self._capturing else self.streams[stream]).append(work)

    def check_device(self, address: int, stream: int) -> None:
        """Fail where a stream of one device is given memory of another."""
        assert self.memory[address].device == self._device_of_stream[stream]

    def _allocate(self, function: str, size: int, device: int | None) -> tuple[Error, int]:
        if self.refuses(function):
            return self.error, 0
        address = self.take(size, device)
        return (Error.cudaErrorMemoryAllocation, 0) if address is None else (Error.cudaSuccess, address)

    def _free(self, function: str, address: int) -> tuple[Error]:
        refused = self.refuses(function)
        with self._lock:
            memory = self.memory.pop(address)
            # Kept, so that nothing else gets this address
            self._freed[address] = memory
        assert (memory.device is None) == (function == "cudaFreeHost")
        return (self.error if refused else Error.cudaSuccess,)

    def _finish(self, stream: int) -> None:
        """Do the work of a stream; whoever waits for it while another thread does it, waits for that thread."""
        with self._lock_of_stream[stream]:
            work, self.streams[stream] = self.streams[stream], []
            for step in work:
                step()

    def _handle(self) -> int:
        with self._lock:
            self._handles += 1
            return self._handles

    def _copy(self, target: int, source: int, size: int) -> None:
        for address in (target, source):
            assert address not in self._freed, "memory was freed before a copy had ended"
            # Host memory that is not pinned is numpy's
            assert address not in self.memory or size <= len(self.memory[address].content)
        ctypes.memmove(target, source, size)
