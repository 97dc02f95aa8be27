"""CUDA graphs in ONNX Runtime's provider: a batch of a known shape starts with one call, not one for each kernel.

ONNX Runtime captures a graph for each number that a run is given, in each thread, and keeps it as long as the session.
For each thread it also keeps handles of CUDA's libraries. A graph reads and writes the addresses that it was captured
with, so its inputs and outputs stay on the device.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, RLock, local
from typing import TYPE_CHECKING

import numpy as np

from distilforge.cuda.captures import captures
from distilforge.engine import Array
from distilforge.errors import EngineError
from distilforge.onnxruntime.device_session import DeviceSession
from distilforge.worker_thread import WorkerThread

if TYPE_CHECKING:
    import onnxruntime

OPTION = "enable_cuda_graph"
"""The provider's option with which it captures graphs."""
GRAPH = "gpu_graph_id"
"""The entry of a run's options that numbers its graph; ONNX Runtime ignores entries that it does not know."""
WITHOUT_GRAPH = "-1"
"""The number with which a run has none."""
MOST_GRAPHS = 128
"""Graphs of a session. Later shapes run without, since ONNX Runtime frees no graph."""
MOST_SEEN = 1024
"""Shapes that are remembered, to know those that come again."""
MOST_BYTES = 256 << 20
"""Inputs and outputs of all graphs of a session, which stay on the device: a masked language model's are large."""
MOST_TOKENS = 16_384
"""Larger batches keep the device busy for longer than their kernels take to start. 12,288 tokens gain 7% on an H100."""

_ON = ("1", "true")
# In the first, ONNX Runtime captures the graph and replays it; the second only replays it
_CHECKED_RUNS = 2
# The kernels of a graph are those of a run without it, so that its answers are the same but for the order of sums
_NEAR = 1e-2
_logger = logging.getLogger("distilforge")
_Shapes = tuple[tuple[int, ...], ...]
_Key = tuple[bool, _Shapes]
"""Whether it is for the session's own thread, and the shapes of a batch."""


@dataclass(slots=True, kw_only=True)
class _Bound:
    """The arrays of one shape on the device for one of two threads, and how their graph is run."""

    inputs: "Mapping[str, onnxruntime.OrtValue]"
    """By name."""
    outputs: "Mapping[str, onnxruntime.OrtValue]"
    """By name."""
    binding: "onnxruntime.IOBinding"
    """Both."""
    options: "onnxruntime.RunOptions"
    """Names the graph."""
    runs: int = 0
    """How often it was run."""


class _GraphError(Exception):
    """A graph that cannot be used, with the reason."""


class CudaGraphs(DeviceSession):
    """A session of ONNX Runtime whose provider was opened with OPTION. Any thread can use it, one after another.

    ONNX Runtime runs it in two threads: the first one that asks, and one for all others, so that what it keeps for each
    thread does not grow with the threads of an application.

    The first batch of a shape runs without a graph, and shows the shapes of its answers. The first answers
    that a graph gives are compared with those without; where they differ, or a graph fails, the session uses no more.
    """

    def __init__(
        self, session: "onnxruntime.InferenceSession", *, device: str = "cuda", index: int = 0
    ) -> None:
        import onnxruntime

        self._bound: dict[_Key, _Bound] = {}
        super().__init__(session, self._bound)
        self._runtime = onnxruntime
        self._device, self._index = device, index
        self._lock = RLock()
        self._threads = Lock()
        self._own = local()
        self._has_own = False
        self._others: WorkerThread | None = None
        self._may_use_graphs = True
        self._seen: OrderedDict[_Key, None] = OrderedDict()
        """Those that came last and have no graph."""
        self._bytes = 0
        self._without = onnxruntime.RunOptions()
        self._without.add_run_config_entry(GRAPH, WITHOUT_GRAPH)

    def run(self, output_names: list[str], feeds: dict[str, Array]) -> list[Array]:
        """As DeviceSession has it; EngineError too where this thread is in the middle of another run."""
        self._birthplace.check()
        others = self._thread_of_others()
        if others is None:
            return self._run(True, output_names, feeds)
        return others.call(lambda: self._run(False, output_names, feeds))

    def _thread_of_others(self) -> WorkerThread | None:
        """Where a run of this thread belongs; None for the session's own thread, which is the first that asked."""
        # Nothing is called while it is locked: a signal handler, or what Python collects, may come here too
        with self._threads:
            if not self._has_own:
                self._has_own = self._own.is_here = True
        if getattr(self._own, "is_here", False):
            return None
        if self._others is None:
            started = WorkerThread("distilforge-cuda-graphs")
            with self._threads:
                if self._others is None:
                    self._others = started
        return self._others

    def _run(self, own: bool, output_names: list[str], feeds: dict[str, Array]) -> list[Array]:
        shapes = tuple(feeds[name].shape for name in sorted(feeds))
        key = own, shapes
        with self._alone():
            if not self._may_use_graphs:
                return self._without_graph(output_names, feeds)
            bound = self._bound.get(key)
            try:
                if bound is not None:
                    return self._with_graph(bound, output_names, feeds)
                arrays = self._without_graph(output_names, feeds)
                self._remember(key, output_names, feeds, arrays)
            except _GraphError as error:
                self._give_up(str(error))
                return self._without_graph(output_names, feeds)
            return arrays

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for the runs of other threads; EngineError in the middle of a run of this one."""
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise EngineError(
                "the session is in the middle of another run in this thread",
                hint="do not call it in a signal handler, nor in what Python collects",
            )
        with self._lock:
            yield

    def _remember(
        self, key: _Key, output_names: list[str], feeds: dict[str, Array], arrays: list[Array]
    ) -> None:
        """Bind arrays for a shape that comes again, if there may be one more graph; _GraphError as from `_bind`."""
        size = sum(array.nbytes for array in (*feeds.values(), *arrays))
        _, shapes = key
        if (
            len(self._bound) >= MOST_GRAPHS
            or self._bytes + size > MOST_BYTES
            or max(map(math.prod, shapes)) > MOST_TOKENS
        ):
            return
        if key in self._seen:
            del self._seen[key]
            self._bound[key] = self._bind(output_names, feeds, arrays)
            self._bytes += size
            return
        self._seen[key] = None
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)

    def _without_graph(self, output_names: list[str], feeds: dict[str, Array]) -> list[Array]:
        with captures.beside():
            arrays: list[Array] = self._session.run(output_names, feeds, self._without)
        return arrays

    def _with_graph(self, bound: _Bound, output_names: list[str], feeds: dict[str, Array]) -> list[Array]:
        """The graph's answers; _GraphError where it does not run, or where its first answers are wrong."""
        with captures.beside() if bound.runs else captures.alone() as may_run:
            answers = self._replay(bound, output_names, feeds) if may_run else None
        if answers is None:
            return self._without_graph(output_names, feeds)
        bound.runs += 1
        if bound.runs <= _CHECKED_RUNS:
            expected = self._without_graph(output_names, feeds)
            for answer, wanted in zip(answers, expected, strict=True):
                if not np.allclose(answer, wanted, rtol=_NEAR, atol=_NEAR, equal_nan=True):
                    raise _GraphError("a CUDA graph answers otherwise than its kernels do")
        return answers

    def _replay(self, bound: _Bound, output_names: list[str], feeds: dict[str, Array]) -> list[Array]:
        """The answers of the graph in `bound`, which ONNX Runtime captures when it runs for the first time."""
        try:
            for name, array in feeds.items():
                bound.inputs[name].update_inplace(array)
            self._session.run_with_iobinding(bound.binding, bound.options)
            return [self._to_host(bound.outputs[name]) for name in output_names]
        except Exception as cause:
            raise _GraphError(f"a CUDA graph failed ({cause})") from cause

    def _give_up(self, reason: str) -> None:
        self._may_use_graphs = False
        with captures.beside():
            self._bound.clear()
        self._seen.clear()
        _logger.warning("%s; this session uses no more graphs", reason)

    def _to_host(self, value: "onnxruntime.OrtValue") -> Array:
        array: Array = value.numpy()
        # In host memory the array is the value's own, which the next run overwrites
        return array.copy() if self._device == "cpu" else array

    def _bind(self, output_names: list[str], feeds: dict[str, Array], answers: list[Array]) -> _Bound:
        """Arrays on the device for batches like `feeds`; _GraphError where the device has no room for them."""
        values, place = self._runtime.OrtValue, (self._device, self._index)
        try:
            with captures.beside():
                inputs, outputs = (
                    {
                        name: values.ortvalue_from_shape_and_type(array.shape, array.dtype, *place)
                        for name, array in arrays.items()
                    }
                    for arrays in (feeds, dict(zip(output_names, answers, strict=True)))
                )
        except Exception as cause:
            raise _GraphError(f"the arrays of a CUDA graph could not be made ({cause})") from cause
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        options = self._runtime.RunOptions()
        options.add_run_config_entry(GRAPH, str(len(self._bound) + 1))
        return _Bound(inputs=inputs, outputs=outputs, binding=binding, options=options)


def of(session: "onnxruntime.InferenceSession", options: Mapping[str, str], index: int = 0) -> DeviceSession:
    """What runs `session` on CUDA's device `index`, with graphs where its provider's `options` ask for them."""
    if options.get(OPTION, "").lower() not in _ON:
        return DeviceSession(session)
    return CudaGraphs(session, index=index)
