"""CUDA's memory, streams and graphs, through cuda-python."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol

from distilforge.errors import EngineError, UnavailableError

PACKAGE, MODULE = "cuda-bindings", "cuda.bindings.runtime"
DRIVER_MODULE = "cuda.bindings.driver"
# A device belongs to the whole process
_capturing = threading.Lock()


class Cuda(Protocol):
    """The functions of CUDA that engines need.

    Addresses and handles are whole numbers, and sizes are in bytes. Every function raises EngineError.
    """

    def on(self, device: int) -> AbstractContextManager[None]:
        """Make `device` the current device of this thread, and after it the one that the application uses, if any."""

    def allocate(self, size: int) -> int: ...
    def free(self, address: int) -> None: ...

    def allocate_pinned(self, size: int) -> int:
        """Allocate host memory that the device reads and writes directly."""

    def free_pinned(self, address: int) -> None: ...

    def copy_in(self, device: int, host: int, size: int, stream: int) -> None: ...
    def copy_out(self, host: int, device: int, size: int, stream: int) -> None: ...
    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None: ...

    def device_of(self, address: int) -> int:
        """The number of the device that the memory at `address` is on."""

    def create_stream(self) -> int: ...
    def wait(self, stream: int) -> None: ...

    def wait_for_device(self) -> None:
        """Wait for all work on this thread's device, also that of other libraries."""

    def destroy_stream(self, stream: int) -> None: ...

    def capturing(self) -> AbstractContextManager[object]:
        """Let no thread wait for its device meanwhile, which CUDA refuses while a stream is captured."""

    def capture(self, stream: int, enqueue: Callable[[], None]) -> int:
        """Record the work that `enqueue` puts on `stream` as a graph, without running it."""

    def launch(self, graph: int, stream: int) -> None: ...
    def destroy_graph(self, graph: int) -> None: ...


class CudaPython:
    """cuda-python's bindings of the CUDA runtime; the constructor raises UnavailableError where they do not import."""

    def __init__(self) -> None:
        try:
            # Any: the package may not be installed, and has no types
            self._runtime: Any = import_module(MODULE)
        except ImportError as cause:
            raise UnavailableError(
                f"{MODULE} does not import: {cause}", hint=f"pip install {PACKAGE}"
            ) from cause

    @contextmanager
    def on(self, device: int) -> Iterator[None]:
        before = self._number("cudaGetDevice")
        if before == device:
            yield
            return
        is_used = self._is_used(before)
        self._call("cudaSetDevice", device)
        try:
            yield
        finally:
            # Otherwise a context, of hundreds of megabytes, would be made there for nobody
            if is_used:
                # A device that is lost is no reason to lose the answer, or the error, that this one gave
                with suppress(EngineError):
                    self._call("cudaSetDevice", before)

    def _is_used(self, device: int) -> bool:
        """Whether this process has a context on `device`."""
        # Any, as above; only those with several devices need it
        driver: Any = import_module(DRIVER_MODULE)
        error, _, is_active = driver.cuDevicePrimaryCtxGetState(device)
        return int(error) == 0 and bool(is_active)

    def allocate(self, size: int) -> int:
        return self._number("cudaMalloc", size)

    def free(self, address: int) -> None:
        self._call("cudaFree", address)

    def allocate_pinned(self, size: int) -> int:
        return self._number("cudaMallocHost", size)

    def free_pinned(self, address: int) -> None:
        self._call("cudaFreeHost", address)

    def copy_in(self, device: int, host: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host, size, kind, stream)

    def copy_out(self, host: int, device: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host, device, size, kind, stream)

    def copy_on_device(self, target: int, source: int, size: int, stream: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._call("cudaMemcpyAsync", target, source, size, kind, stream)

    def device_of(self, address: int) -> int:
        (attributes,) = self._call("cudaPointerGetAttributes", address)
        return int(attributes.device)

    def create_stream(self) -> int:
        # The default stream would wait for all others
        return self._number("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)

    def wait(self, stream: int) -> None:
        self._call("cudaStreamSynchronize", stream)

    def wait_for_device(self) -> None:
        with self.capturing():
            self._call("cudaDeviceSynchronize")

    def destroy_stream(self, stream: int) -> None:
        self._call("cudaStreamDestroy", stream)

    def capturing(self) -> AbstractContextManager[object]:
        return _capturing

    def capture(self, stream: int, enqueue: Callable[[], None]) -> int:
        # Thread-local: calls of other threads, such as allocations, neither enter the graph nor break it
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        with self.capturing():
            self._call("cudaStreamBeginCapture", stream, mode)
            try:
                enqueue()
            except BaseException:
                # Otherwise the stream would stay in capture mode
                error, graph = self._runtime.cudaStreamEndCapture(stream)
                if int(error) == 0:
                    self._runtime.cudaGraphDestroy(graph)
                raise
            (graph,) = self._call("cudaStreamEndCapture", stream)
        try:
            return self._number("cudaGraphInstantiate", graph, 0)
        finally:
            # An error of this call would hide the handle of the graph that was made, which must be freed too
            self._runtime.cudaGraphDestroy(graph)

    def launch(self, graph: int, stream: int) -> None:
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        self._call("cudaGraphExecDestroy", graph)

    def _number(self, function: str, *arguments: object) -> int:
        (value,) = self._call(function, *arguments)
        return int(value)

    def _call(self, function: str, *arguments: object) -> tuple[Any, ...]:
        error, *values = getattr(self._runtime, function)(*arguments)
        if int(error) != 0:
            _, text = self._runtime.cudaGetErrorString(error)
            is_memory = error == self._runtime.cudaError_t.cudaErrorMemoryAllocation
            raise EngineError(
                f"CUDA's {function} failed: {error.name}, {text.decode()}",
                hint="smaller batches need less memory" if is_memory else "",
            )
        return tuple(values)


def free_on(cuda: Cuda, device: int, *steps: Callable[[], object]) -> None:
    """Do `steps`, which free something, the last one first, on `device`; all of them, whatever fails or interrupts.

    A device that is lost refuses to be the current one, and they are done without.
    """
    with ExitStack() as stack:
        current = stack.enter_context(ExitStack())
        for step in steps:
            stack.callback(step)
        with suppress(EngineError):
            current.enter_context(cuda.on(device))
