"""A lane runs batches on a device, one after the other: a context, its stream, its memory and its CUDA graphs."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from math import prod

import numpy as np

from distilforge.cuda.arrays import DeviceArray
from distilforge.cuda.runtime import Cuda
from distilforge.engine import Array
from distilforge.errors import DistilforgeError, EngineError, UnavailableError
from distilforge.tensorrt.buffers import Buffer, Staging
from distilforge.tensorrt.pool import Closable
from distilforge.tensorrt.profiles import Profile
from distilforge.tensorrt.toolkit import Context, LoadedEngine

_logger = logging.getLogger("distilforge")

Key = tuple[tuple[int, ...], ...]
"""The inputs' shapes."""
Allocate = Callable[[tuple[int, ...], np.dtype[np.generic]], DeviceArray]
"""Allocates an array of a shape and a type on the lane's device."""
_RECENT = 4
"""Runs for each graph of a lane, within which a graph that is used, or a shape that comes again, is not forgotten."""
MOST_TOKENS_OF_A_GRAPH = 8192
"""The largest input that is worth a CUDA graph: beyond it, kernels run for longer than it takes to launch them."""


@dataclass(slots=True, kw_only=True)
class CudaGraph:
    """A CUDA graph of one run."""

    handle: int
    """CUDA's handle."""
    shapes: Mapping[str, tuple[int, ...]]
    """The shapes of the outputs."""
    context: Context
    """The context of the run, which must stay alive and unchanged."""
    last_run: int
    """The number of the lane's run that used it last."""


class Lane:
    """Runs `loaded` on this thread's device, for one thread at a time.

    `graphs` is the number of shapes for which it keeps a CUDA graph. `allocate` takes memory on the device, which
    `cuda` frees.
    """

    def __init__(self, loaded: LoadedEngine, cuda: Cuda, graphs: int, allocate: Callable[[int], int]) -> None:
        self._loaded = loaded
        self._cuda = cuda
        self._profile: int | None = None
        self._staging = {name: Staging(cuda, allocate) for name in (*loaded.inputs, *loaded.outputs)}
        self._scratch = Buffer(allocate, cuda.free)
        self._limit = 0 if loaded.captures_graphs else graphs
        self._graphs: OrderedDict[Key, CudaGraph] = OrderedDict()
        self._recent_keys: OrderedDict[Key, None] = OrderedDict()
        self._runs = 0
        self._stream = cuda.create_stream()
        try:
            self._context: Context | None = self._new_context()
        except BaseException:
            self.close()
            raise

    def run(self, feeds: Mapping[str, Array], profile: Profile) -> dict[str, Array]:
        """The outputs for `feeds`, which have the engine's own types and shapes that `profile` holds."""
        for name in self._loaded.inputs:
            self._hold(name, feeds[name].nbytes)
            self._staging[name].send(feeds[name], self._stream)
        shapes = self._compute({name: feeds[name].shape for name in self._loaded.inputs}, profile)
        for name, shape in shapes.items():
            self._staging[name].fetch(self._size(name, shape), self._stream)
        self._cuda.wait(self._stream)
        dtypes = self._loaded.dtypes
        return {name: self._staging[name].received(shape, dtypes[name]) for name, shape in shapes.items()}

    def run_on_device(
        self, feeds: Mapping[str, DeviceArray], profile: Profile, allocate: Allocate
    ) -> dict[str, DeviceArray]:
        """The outputs for `feeds` as in `run`, in arrays from `allocate(shape, dtype)`.

        Arrays are copied to and from the addresses that CUDA graphs know, which takes microseconds.
        """
        for name in self._loaded.inputs:
            array = feeds[name]
            self._hold(name, array.nbytes)
            self._cuda.copy_on_device(self._staging[name].device, array.address, array.nbytes, self._stream)
        shapes = self._compute({name: feeds[name].shape for name in self._loaded.inputs}, profile)
        outputs = {name: allocate(shape, self._loaded.dtypes[name]) for name, shape in shapes.items()}
        for name, output in outputs.items():
            self._cuda.copy_on_device(output.address, self._staging[name].device, output.nbytes, self._stream)
        self._cuda.wait(self._stream)
        return outputs

    def _compute(self, fed: Mapping[str, tuple[int, ...]], profile: Profile) -> Mapping[str, tuple[int, ...]]:
        """Start computing on inputs of the shapes `fed`, and return the shapes of the outputs."""
        key = tuple(fed[name] for name in self._loaded.inputs)
        self._runs += 1
        graph = self._graphs.get(key)
        if graph is not None:
            self._graphs.move_to_end(key)
            graph.last_run = self._runs
            self._cuda.launch(graph.handle, self._stream)
            return graph.shapes
        context = self._context_of_a_graph() if self._is_repeated(key) else None
        if context is not None:
            return self._capture(context, key, fed, profile)
        assert self._context is not None, "a closed lane is not run"
        if self._profile != profile.index:
            self._set_profile(self._context, profile)
            self._profile = profile.index
        shapes = self._bind(self._context, fed)
        self._enqueue(self._context)
        return shapes

    def close(self) -> None:
        """Free everything. Functions of CUDA may fail after another failure; the rest is still freed, by Ctrl-C too."""
        with ExitStack() as stack:
            stack.callback(_tried, lambda: self._cuda.destroy_stream(self._stream))
            memory: list[Closable] = [*self._staging.values(), self._scratch]
            for closable in memory:
                stack.callback(_tried, closable.close)
            # Before the memory that they use
            stack.callback(self._forget_contexts)
            # Twice, since Ctrl-C may end the first
            for _ in range(2):
                stack.callback(_tried, lambda: self._cuda.wait(self._stream))

    def _forget_contexts(self) -> None:
        self._forget_graphs()
        self._context = None

    def _new_context(self) -> Context:
        """A context; where contexts do not allocate memory for activations, all of this lane's share one piece.

        They can, since the runs of a lane follow each other.
        """
        if self._loaded.scratch_bytes is not None:
            self._scratch.hold(self._loaded.scratch_bytes)
        context = self._loaded.new_context()
        if self._loaded.scratch_bytes is not None:
            context.set_device_memory(self._scratch.address, self._scratch.size)
        return context

    def _hold(self, name: str, size: int) -> None:
        if self._staging[name].hold(size):
            self._forget_graphs()  # they use the old address

    def _size(self, name: str, shape: tuple[int, ...]) -> int:
        size = self._loaded.dtypes[name].itemsize
        for length in shape:
            size *= length
        return size

    def _bind(self, context: Context, fed: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Set the inputs' shapes and the addresses of all tensors in `context`, and return the outputs' shapes."""
        for name in self._loaded.inputs:
            done = context.set_input_shape(name, fed[name])
            self._require(done, f"the shape {fed[name]} of {name!r}")
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in self._loaded.outputs}
        for name, shape in shapes.items():
            self._require(
                all(size >= 0 for size in shape), f"the shape of {name!r}, which it gives as {shape}"
            )
            self._hold(name, self._size(name, shape))
        for name, staging in self._staging.items():
            self._require(context.set_tensor_address(name, staging.device), f"the memory of {name!r}")
        return shapes

    def _set_profile(self, context: Context, profile: Profile) -> None:
        done = context.set_optimization_profile_async(profile.index, self._stream)
        self._require(done, f"its profile {profile.index}")

    def _enqueue(self, context: Context) -> None:
        with self._cuda.capturing() if self._loaded.captures_graphs else nullcontext():
            done = context.execute_async_v3(self._stream)
        self._require(done, "this batch")

    def _require(self, done: bool, what: str) -> None:
        if not done:
            raise EngineError(f"{self._loaded.name} failed on {what}: {self._loaded.complaints()}")

    def _is_repeated(self, key: Key) -> bool:
        """Whether these shapes, of a small batch, were fed before, so that a graph is worth its cost."""
        if not self._limit or max(map(prod, key)) > MOST_TOKENS_OF_A_GRAPH:
            return False
        if key in self._recent_keys:
            return True
        self._recent_keys[key] = None
        while len(self._recent_keys) > _RECENT * self._limit:
            self._recent_keys.popitem(last=False)
        return False

    def _context_of_a_graph(self) -> Context | None:
        """A context for one more graph, or None where there cannot be one: all are in use, or the device is full.

        Changing a context makes its graphs undefined (NVIDIA, "CUDA Graphs"), so each graph has its own context.
        """
        if len(self._graphs) >= self._limit:
            oldest = next(iter(self._graphs.values()))
            # Otherwise shapes that take turns, and are more than the graphs, would only make and forget graphs
            if self._runs - oldest.last_run <= _RECENT * self._limit:
                return None
            self._forget(self._graphs.popitem(last=False)[1])
        try:
            return self._new_context()
        except (EngineError, UnavailableError) as error:
            self._stop_capturing("a context for one failed", error)
            return None

    def _capture(
        self, context: Context, key: Key, fed: Mapping[str, tuple[int, ...]], profile: Profile
    ) -> dict[str, tuple[int, ...]]:
        """Run the batch in its own `context`, and keep a graph of the run for the next batch of these shapes."""
        self._set_profile(context, profile)
        shapes = self._bind(context, fed)
        # The first run with a shape does work that must not be in the graph
        self._enqueue(context)
        self._cuda.wait(self._stream)
        try:
            handle = self._cuda.capture(self._stream, lambda: self._enqueue(context))
        except EngineError as error:
            self._stop_capturing("capturing one failed", error)
            return shapes
        self._graphs[key] = CudaGraph(handle=handle, shapes=shapes, context=context, last_run=self._runs)
        return shapes

    def _stop_capturing(self, what: str, error: DistilforgeError) -> None:
        _logger.warning(
            "%s: there will be no more CUDA graphs, since %s: %s", self._loaded.name, what, error.message
        )
        self._limit = 0

    def _forget_graphs(self) -> None:
        while self._graphs:
            self._forget(self._graphs.popitem()[1])

    def _forget(self, graph: CudaGraph) -> None:
        with suppress(EngineError):
            self._cuda.destroy_graph(graph.handle)


def _tried(step: Callable[[], None]) -> None:
    """Do `step` of closing; where CUDA refuses it, nothing else can be done."""
    with suppress(EngineError):
        step()
