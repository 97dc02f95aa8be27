"""One line of runs on a device: a context, its stream, its memory and its CUDA graphs. Used by one thread at a time."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from distilforge.cuda.runtime import Cuda
from distilforge.errors import EngineError
from distilforge.feeds import Array
from distilforge.tensorrt.buffers import Buffer, Staging
from distilforge.tensorrt.pool import Closable
from distilforge.tensorrt.profiles import Profile
from distilforge.tensorrt.toolkit import Context, LoadedEngine

_logger = logging.getLogger("distilforge")

Key = tuple[tuple[int, ...], ...]
"""The inputs' shapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A CUDA graph, the outputs' shapes, and the context it was captured from, which must live on untouched."""

    graph: int
    shapes: Mapping[str, tuple[int, ...]]
    context: Context


class Lane:
    """Runs `loaded` on this thread's device; `graphs` is of how many shapes it keeps a CUDA graph."""

    def __init__(self, loaded: LoadedEngine, cuda: Cuda, graphs: int) -> None:
        self._loaded = loaded
        self._cuda = cuda
        self._stream = cuda.create_stream()
        self._context = loaded.new_context()
        self._profile: int | None = None
        self._staging = {name: Staging(cuda) for name in (*loaded.inputs, *loaded.outputs)}
        self._scratch = Buffer(cuda.allocate, cuda.free)
        self._limit = graphs if loaded.new_borrower is not None else 0
        self._captured: OrderedDict[Key, Captured] = OrderedDict()
        self._seen: OrderedDict[Key, None] = OrderedDict()

    def run(self, feeds: Mapping[str, Array], profile: Profile) -> dict[str, Array]:
        """The outputs for inputs of the engine's own types, which `profile` takes."""
        for name in self._loaded.inputs:
            self._hold(name, feeds[name].nbytes)
            self._staging[name].send(feeds[name], self._stream)
        key = tuple(feeds[name].shape for name in self._loaded.inputs)
        captured = self._captured.get(key)
        if captured is not None:
            self._captured.move_to_end(key)
            self._cuda.launch(captured.graph, self._stream)
            shapes = captured.shapes
        elif self._returns(key):
            shapes = self._capture(key, feeds, profile)
        else:
            if self._profile != profile.index:
                self._set_profile(self._context, profile)
                self._profile = profile.index
            shapes = self._bind(self._context, feeds)
            self._enqueue(self._context)
        sizes = {name: self._size(name, shape) for name, shape in shapes.items()}
        for name, size in sizes.items():
            self._staging[name].fetch(size, self._stream)
        self._cuda.wait(self._stream)
        dtypes = self._loaded.dtypes
        return {name: self._staging[name].received(shape, dtypes[name]) for name, shape in shapes.items()}

    def close(self) -> None:
        """Give everything back, also after a failure, which may have taken the device's other functions with it."""
        with suppress(EngineError):
            self._cuda.wait(self._stream)
        self._forget_graphs()
        held: list[Closable] = [*self._staging.values(), self._scratch]
        for closable in held:
            with suppress(EngineError):
                closable.close()
        with suppress(EngineError):
            self._cuda.destroy_stream(self._stream)

    def _hold(self, name: str, size: int) -> None:
        if self._staging[name].hold(size):
            self._forget_graphs()  # they read and write where the tensor was

    def _size(self, name: str, shape: tuple[int, ...]) -> int:
        size = self._loaded.dtypes[name].itemsize
        for length in shape:
            size *= length
        return size

    def _bind(self, context: Context, feeds: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
        """Tell the context its inputs' shapes and every tensor's place; the outputs' shapes."""
        for name in self._loaded.inputs:
            done = context.set_input_shape(name, feeds[name].shape)
            self._require(done, f"the shape {feeds[name].shape} of {name!r}")
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in self._loaded.outputs}
        for name, shape in shapes.items():
            self._require(all(size >= 0 for size in shape), f"what shape {name!r} has: it says {shape}")
            self._hold(name, self._size(name, shape))
        for name, staging in self._staging.items():
            self._require(context.set_tensor_address(name, staging.device), f"the memory of {name!r}")
        return shapes

    def _set_profile(self, context: Context, profile: Profile) -> None:
        done = context.set_optimization_profile_async(profile.index, self._stream)
        self._require(done, f"its profile {profile.index}")

    def _enqueue(self, context: Context) -> None:
        self._require(context.execute_async_v3(self._stream), "this batch")

    def _require(self, done: bool, what: str) -> None:
        if not done:
            raise EngineError(f"{self._loaded.name} failed on {what}: {self._loaded.complaints()}")

    def _returns(self, key: Key) -> bool:
        """Whether this shape was fed before, and so is worth a graph."""
        if not self._limit:
            return False
        if key in self._seen:
            return True
        self._seen[key] = None
        while len(self._seen) > 4 * self._limit:
            self._seen.popitem(last=False)
        return False

    def _capture(self, key: Key, feeds: Mapping[str, Array], profile: Profile) -> dict[str, tuple[int, ...]]:
        """Run the batch in a context of its own, and keep a graph of that run for the next batch of this shape.

        A graph is bound to its context as it was (NVIDIA, "CUDA Graphs": what changes the context makes the graph
        undefined), so each has one, all in one piece of memory, for a lane's runs follow each other.
        """
        assert self._loaded.new_borrower is not None
        while len(self._captured) >= self._limit:
            self._forget(self._captured.popitem(last=False)[1])
        self._scratch.hold(self._loaded.scratch_bytes)
        context = self._loaded.new_borrower()
        context.set_device_memory(self._scratch.address, self._scratch.size)
        self._set_profile(context, profile)
        shapes = self._bind(context, feeds)
        # The first run of a shape does work that must not be in the graph.
        self._enqueue(context)
        self._cuda.wait(self._stream)
        try:
            graph = self._cuda.capture(self._stream, lambda: self._enqueue(context))
        except EngineError as error:
            _logger.warning(
                "%s: no CUDA graphs, for capturing one failed: %s", self._loaded.name, error.message
            )
            self._limit = 0
            return shapes
        self._captured[key] = Captured(graph=graph, shapes=shapes, context=context)
        return shapes

    def _forget_graphs(self) -> None:
        while self._captured:
            self._forget(self._captured.popitem()[1])

    def _forget(self, captured: Captured) -> None:
        with suppress(EngineError):
            self._cuda.destroy_graph(captured.graph)
