"""A device and an engine in host memory, to test the code around real ones.

Work on a stream is done only when the stream is waited for, so that memory which is freed or overwritten too early
changes the answers, as on a device.
"""

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from distilforge.cuda.driver import Device
from distilforge.errors import EngineError
from distilforge.tensorrt.profiles import Profile
from distilforge.tensorrt.toolkit import LoadedEngine

GPU = Device(index=0, name="A device", capability=(8, 6))
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
NAN_ID = 666
"""A token id for whose row the engine returns NaN."""

Work = Callable[[], None]


@dataclass
class FakeCuda:
    """CUDA's functions on this process's memory; `most` is the number of bytes that can be allocated."""

    most: int = 1 << 30
    memory: dict[int, "ctypes.Array[ctypes.c_char]"] = field(default_factory=dict)
    streams: dict[int, list[Work]] = field(default_factory=dict)
    graphs: dict[int, list[Work]] = field(default_factory=dict)
    launches: int = 0
    captures_fail: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _capturing: dict[int, list[Work]] = field(default_factory=dict)
    _handles: int = 0

    def use(self, device: int) -> None:
        assert device == GPU.index

    def allocate(self, size: int) -> int:
        with self._lock:
            if self.taken + size > self.most:
                raise EngineError("CUDA's cudaMalloc failed: out of memory")
            piece = ctypes.create_string_buffer(b"\xff" * size, size)
            self.memory[ctypes.addressof(piece)] = piece
            return ctypes.addressof(piece)

    def free(self, address: int) -> None:
        with self._lock:
            del self.memory[address]

    allocate_pinned, free_pinned = allocate, free

    def copy_in(self, device: int, host: int, size: int, stream: int) -> None:
        self.enqueue(stream, lambda: self._copy(device, host, size))

    def copy_out(self, host: int, device: int, size: int, stream: int) -> None:
        self.enqueue(stream, lambda: self._copy(host, device, size))

    def create_stream(self) -> int:
        handle = self._handle()
        self.streams[handle] = []
        return handle

    def wait(self, stream: int) -> None:
        work, self.streams[stream] = self.streams[stream], []
        for copy in work:
            copy()

    def destroy_stream(self, stream: int) -> None:
        del self.streams[stream]

    def capture(self, stream: int, enqueue: Work) -> int:
        if self.captures_fail:
            raise EngineError("operation not permitted when stream is capturing")
        self._capturing[stream] = []
        enqueue()
        handle = self._handle()
        self.graphs[handle] = self._capturing.pop(stream)
        return handle

    def launch(self, graph: int, stream: int) -> None:
        self.launches += 1
        self.streams[stream].extend(self.graphs[graph])

    def destroy_graph(self, graph: int) -> None:
        del self.graphs[graph]

    def enqueue(self, stream: int, work: Work) -> None:
        (self._capturing[stream] if stream in self._capturing else self.streams[stream]).append(work)

    @property
    def taken(self) -> int:
        return sum(map(len, self.memory.values()))

    def _handle(self) -> int:
        with self._lock:
            self._handles += 1
            return self._handles

    def _copy(self, target: int, source: int, size: int) -> None:
        for address in (target, source):
            assert size <= len(self.memory[address])
        ctypes.memmove(target, source, size)


class FakeContext:
    """Computes logits[row] = (sum of the row's unmasked ids, number of tokens, profile), as float16."""

    def __init__(self, cuda: FakeCuda, profiles: tuple[Profile, ...], *, owns_memory: bool) -> None:
        self._cuda = cuda
        self._profiles = profiles
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, int] = {}
        self._scratch = 0 if owns_memory else None
        self.busy = False

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._profile = profile_index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._places[name] = memory
        return True

    def set_device_memory(self, memory: int, size: int) -> None:
        assert len(self._cuda.memory[memory]) == size
        self._scratch = memory

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name == OUTPUT
        return (self._shapes["input_ids"][0], 3)

    def execute_async_v3(self, stream_handle: int) -> bool:
        if not self._profiles[self._profile].holds(self._shapes) or self._scratch is None:
            return False
        shape, places, profile = self._shapes["input_ids"], dict(self._places), self._profile

        def work() -> None:
            assert not self.busy, "one context runs in two threads"
            self.busy = True
            ids, mask = (self._array(places[name], shape, np.dtype(np.int64)) for name in INPUTS)
            logits = self._array(places[OUTPUT], (shape[0], 3), np.dtype(np.float16))
            logits[:] = np.stack(
                [(ids * mask).sum(1), np.full(len(ids), shape[1]), np.full(len(ids), profile)], axis=1
            )
            logits[(ids == NAN_ID).any(axis=1), 0] = np.nan
            self.busy = False

        self._cuda.enqueue(stream_handle, work)
        return True

    def _array(self, place: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:  # type: ignore[type-arg]
        return np.frombuffer(self._cuda.memory[place], dtype=dtype, count=int(np.prod(shape))).reshape(shape)


def profile(index: int, low: tuple[int, int], high: tuple[int, int]) -> Profile:
    return Profile(index=index, lows=dict.fromkeys(INPUTS, low), highs=dict.fromkeys(INPUTS, high))


def fake_engine(
    cuda: FakeCuda, profiles: tuple[Profile, ...] = (profile(0, (1, 2), (8, 64)),), *, borrows: bool = True
) -> LoadedEngine:
    return LoadedEngine(
        name="A toolkit 1.0",
        inputs=INPUTS,
        outputs=(OUTPUT,),
        dtypes={**dict.fromkeys(INPUTS, np.dtype(np.int64)), OUTPUT: np.dtype(np.float16)},
        shapes={**dict.fromkeys(INPUTS, (-1, -1)), OUTPUT: (-1, 3)},
        profiles=profiles,
        scratch_bytes=1000,
        new_context=lambda: FakeContext(cuda, profiles, owns_memory=True),
        new_borrower=(lambda: FakeContext(cuda, profiles, owns_memory=False)) if borrows else None,
        complaints=lambda: "it said nothing",
    )
