"""TensorRT's classes, with contexts that compute in host memory."""

import enum
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import numpy as np
from distilforge.cuda.driver import Device
from distilforge.errors import UnavailableError
from distilforge.kept_tokens import KEPT_TOKENS
from distilforge.tensorrt.profiles import Profile
from distilforge.tensorrt.toolkit import LoadedEngine

from tests.fake_gpu.cuda import FakeCuda

GPU = Device(index=0, name="A device", capability=(8, 6))
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
NAN_ID = 666
"""A token id for whose row the engine returns NaN."""
SCRATCH_BYTES = 1000
"""The memory for activations that each context needs."""


def profile(index: int, low: tuple[int, int], high: tuple[int, int]) -> Profile:
    return Profile(index=index, lows=dict.fromkeys(INPUTS, low), highs=dict.fromkeys(INPUTS, high))


def unpadded(padded: Profile) -> Profile:
    """`padded` for an engine that asks for the kept tokens."""
    most = int(np.prod(padded.highs[INPUTS[0]]))
    return Profile(
        index=padded.index,
        lows={**padded.lows, KEPT_TOKENS: (1,)},
        highs={**padded.highs, KEPT_TOKENS: (most,)},
    )


PROFILES = (profile(0, (1, 2), (8, 16)), profile(1, (1, 17), (8, 64)))


class FakeContext:
    """Computes logits[row] = (sum of the row's unmasked ids, number of tokens, profile), as float16.

    Where it is fed the kept tokens, it sums these alone, and answers their number in place of the profile.
    The constructor raises what a loaded engine's `new_context` does.
    """

    def __init__(self, cuda: FakeCuda, profiles: tuple[Profile, ...], *, owns_memory: bool) -> None:
        self._cuda = cuda
        self._profiles = profiles
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, int] = {}
        self._scratch: int | None = None
        self._owned: int | None = None
        self.busy = False
        is_refused = cuda.refuses("createContext")
        if owns_memory and not is_refused:
            self._owned = self._scratch = cuda.take(SCRATCH_BYTES, cuda.device)
            is_refused = self._owned is None
        if is_refused:
            raise UnavailableError(f"A toolkit 1.0 cannot make an execution context: {cuda.error.name}")

    def __del__(self) -> None:
        if self._owned is not None:
            self._cuda.memory.pop(self._owned)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._profile = profile_index
        return not self._cuda.refuses("setOptimizationProfileAsync")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        return not self._cuda.refuses("setInputShape")

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._places[name] = memory
        return not self._cuda.refuses("setTensorAddress")

    def set_device_memory(self, memory: int, size: int) -> None:
        assert len(self._cuda.memory[memory].content) == size >= SCRATCH_BYTES
        self._scratch = memory

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name == OUTPUT
        return (self._shapes["input_ids"][0], 3)

    def execute_async_v3(self, stream_handle: int) -> bool:
        if not self._profiles[self._profile].holds(self._shapes) or self._scratch is None:
            return False
        if self._cuda.refuses("enqueueV3"):
            return False
        shape, places, profile_index = self._shapes["input_ids"], dict(self._places), self._profile
        scratch, kept_shape = self._scratch, self._shapes.get(KEPT_TOKENS, ())
        for address in (*places.values(), scratch):
            self._cuda.check_device(address, stream_handle)

        def work() -> None:
            assert not self.busy, "one context runs in two threads"
            self.busy = True
            assert scratch in self._cuda.memory, "the memory for activations was freed"
            ids, mask = (self._array(places[name], shape, np.dtype(np.int64)) for name in INPUTS)
            logits = self._array(places[OUTPUT], (shape[0], 3), np.dtype(np.float16))
            logits[:] = np.stack(
                [(ids * mask).sum(1), np.full(len(ids), shape[1]), np.full(len(ids), profile_index)], axis=1
            )
            if KEPT_TOKENS in places:
                kept = self._array(places[KEPT_TOKENS], kept_shape, np.dtype(np.int64))
                counted = np.zeros_like(ids)
                counted.flat[kept] = 1
                logits[:, 0], logits[:, 2] = (ids * mask * counted).sum(1), kept.size
            logits[(ids == NAN_ID).any(axis=1), 0] = np.nan
            self.busy = False

        self._cuda.enqueue(stream_handle, work)
        return True

    def _array(self, place: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:  # type: ignore[type-arg]
        content = self._cuda.memory[place].content
        return np.frombuffer(content, dtype=dtype, count=int(np.prod(shape))).reshape(shape)


def fake_engine(
    cuda: FakeCuda,
    profiles: tuple[Profile, ...] = (profile(0, (1, 2), (8, 64)),),
    *,
    captures_graphs: bool = False,
) -> LoadedEngine:
    inputs = tuple(profiles[0].lows)
    return LoadedEngine(
        name="A toolkit 1.0",
        inputs=inputs,
        outputs=(OUTPUT,),
        dtypes={**dict.fromkeys(inputs, np.dtype(np.int64)), OUTPUT: np.dtype(np.float16)},
        shapes={**{name: (-1,) * len(low) for name, low in profiles[0].lows.items()}, OUTPUT: (-1, 3)},
        profiles=profiles,
        new_context=lambda: FakeContext(cuda, profiles, owns_memory=captures_graphs),
        scratch_bytes=None if captures_graphs else SCRATCH_BYTES,
        captures_graphs=captures_graphs,
        complaints=lambda: "it said nothing",
    )


class Strategy(enum.Enum):
    USER_MANAGED = 2


class Validity(enum.Enum):
    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class Diagnostics(enum.Enum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4


class Severity(enum.Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class Cache:
    content = b""

    def deserialize(self, blob: bytes) -> bool:
        self.content = bytes(blob)
        return True

    def serialize(self) -> bytes:
        return b"kernels"


@dataclass
class Config:
    cache: Cache | None = None
    cuda_graph_strategy: str = "disabled"
    dynamic_shapes_kernel_specialization_strategy: str = "lazy"

    def create_runtime_cache(self) -> Cache:
        return Cache()

    def set_runtime_cache(self, cache: Cache) -> bool:
        self.cache = cache
        return True


@dataclass
class Toolkit:
    """The module of TensorRT, or of TensorRT-RTX where a runtime uses it as such."""

    cuda: FakeCuda
    validity: tuple[Validity, int] = (Validity.VALID, 0)
    config: Config = field(default_factory=Config)
    contexts: list[object] = field(default_factory=list)
    """What was passed for each context that was created."""
    refitted: list[str] = field(default_factory=list)
    refits: bool = True
    loads: bool = True
    host_code: SimpleNamespace = field(default_factory=SimpleNamespace)
    """The runtime that was created last."""

    __version__ = "1.2.3.4"
    Severity = Severity
    EngineValidity = Validity
    EngineInvalidityDiagnostics = Diagnostics
    ExecutionContextAllocationStrategy = Strategy
    CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")

    class ILogger:
        Severity = Severity

    @property
    def __spec__(self) -> ModuleSpec:
        """Lets `find_spec` find the module."""
        return ModuleSpec("fake_toolkit", None)

    def __hash__(self) -> int:
        return id(self)

    def nptype(self, dtype: type) -> type:
        return dtype

    def Runtime(self, log: object) -> SimpleNamespace:
        self.host_code = SimpleNamespace(
            engine_host_code_allowed=False,
            get_engine_validity=lambda content: self.validity,
            deserialize_cuda_engine=lambda content: self._engine() if self.loads else None,
        )
        return self.host_code

    def Refitter(self, engine: object, log: object) -> SimpleNamespace:
        return SimpleNamespace(refit_cuda_engine=lambda: self.refits)

    def OnnxParserRefitter(self, refitter: object, log: object) -> SimpleNamespace:
        return SimpleNamespace(refit_from_file=lambda path: self.refitted.append(path) or True)  # type: ignore[func-returns-value]

    def _engine(self) -> SimpleNamespace:
        names = (*INPUTS, OUTPUT)
        return SimpleNamespace(
            num_io_tensors=3,
            get_tensor_name=lambda index: names[index],
            get_tensor_mode=lambda name: "output" if name == OUTPUT else "input",
            get_tensor_dtype=lambda name: np.float16 if name == OUTPUT else np.int64,
            get_tensor_shape=lambda name: (-1, 3) if name == OUTPUT else (-1, -1),
            num_optimization_profiles=len(PROFILES),
            get_tensor_profile_shape=lambda name, index: [
                PROFILES[index].lows[name],
                PROFILES[index].highs[name],
                PROFILES[index].highs[name],
            ],
            device_memory_size_v2=SCRATCH_BYTES,
            create_execution_context=self._context,
            create_runtime_config=lambda: self.config,
        )

    def _context(self, how: object = None) -> FakeContext | None:
        try:
            context = FakeContext(self.cuda, PROFILES, owns_memory=how is not Strategy.USER_MANAGED)
        except UnavailableError:
            return None
        self.contexts.append(how)
        return context
