"""Arrays on the device go in and come out without the host, by DLPack and by `__cuda_array_interface__`."""

import ctypes
import gc
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest
from distilforge import EngineError, InputError
from distilforge.cuda import dlpack
from distilforge.cuda.arrays import DeviceArray, is_on_device
from distilforge.cuda.captures import captures
from distilforge.cuda.runtime import CudaPython
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.settings import EngineSettings

from tests.fake_gpu.cuda import CopyKind, FakeCuda
from tests.fake_gpu.toolkit import GPU, FakeContext, fake_engine

IDS = np.arange(16, dtype=np.int64).reshape(2, 8)
MASK = np.ones_like(IDS)
FED = {"input_ids": IDS, "attention_mask": MASK}
EXPECTED = np.array([[28, 8, 0], [92, 8, 0]], dtype=np.float16)


@pytest.fixture
def engine(cuda: FakeCuda) -> TensorRTEngine:
    return TensorRTEngine(fake_engine(cuda), CudaPython(), GPU, EngineSettings(contexts=1))


class OnlyDlpack:
    """An array of a library that speaks DLPack alone."""

    def __init__(self, array: DeviceArray) -> None:
        self._array = array
        self.streams: list[int | None] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(self, *, stream: int | None = None) -> object:
        self.streams.append(stream)
        return self._array.__dlpack__(stream=stream)


def only_interface(array: DeviceArray, **changes: object) -> SimpleNamespace:
    """An array of a library that has `__cuda_array_interface__` alone."""
    return SimpleNamespace(
        __cuda_array_interface__={**array.__cuda_array_interface__, **changes}, owner=array
    )


def test_arrays_of_every_kind_go_in(engine: TensorRTEngine, cuda: FakeCuda) -> None:
    ids, mask = engine.to_device(IDS), engine.to_device(MASK)
    for first, second in ((ids, mask), (OnlyDlpack(ids), OnlyDlpack(mask)), (only_interface(ids), mask)):
        assert is_on_device(first)
        outputs = engine.run_on_device({"input_ids": first, "attention_mask": second})
        np.testing.assert_array_equal(engine.to_host(outputs["logits"]), EXPECTED)
    assert cuda.launches == 1
    assert not is_on_device(IDS)


def test_outputs_stay_valid_and_their_memory_is_used_again(engine: TensorRTEngine, cuda: FakeCuda) -> None:
    feeds = {"input_ids": engine.to_device(IDS), "attention_mask": engine.to_device(MASK)}
    first = engine.run_on_device(feeds)["logits"]
    other = {**feeds, "input_ids": engine.to_device(IDS + 1)}
    second = engine.run_on_device(other)["logits"]
    np.testing.assert_array_equal(engine.to_host(first), EXPECTED)
    assert first.address != second.address
    address = first.address
    del first
    gc.collect()
    assert engine.run_on_device(feeds)["logits"].address == address
    del second, feeds, other
    engine.close()
    gc.collect()
    assert cuda.leaks == {}


def test_memory_is_used_again_only_when_whoever_had_it_has_read_it(
    engine: TensorRTEngine, cuda: FakeCuda
) -> None:
    first, second = (
        {"input_ids": engine.to_device(ids), "attention_mask": engine.to_device(MASK)}
        for ids in (IDS, IDS + 1)
    )
    copy = np.zeros_like(EXPECTED)
    output = engine.run_on_device(first)["logits"]
    _, stream = cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking)
    cuda.cudaMemcpyAsync(
        copy.ctypes.data, output.address, copy.nbytes, CopyKind.cudaMemcpyDeviceToHost, stream
    )
    address = output.address
    del output
    gc.collect()
    assert engine.run_on_device(second)["logits"].address == address
    cuda.cudaStreamSynchronize(stream)
    np.testing.assert_array_equal(copy, EXPECTED)


def test_a_small_array_does_not_keep_the_memory_of_a_large_one(
    engine: TensorRTEngine, cuda: FakeCuda
) -> None:
    kept = []
    for _ in range(10):
        large = engine.to_device(np.zeros(1 << 20, dtype=np.uint8))
        del large
        kept.append(engine.to_device(np.zeros(1 << 14, dtype=np.uint8)))
    on_device = sum(len(memory.content) for memory in cuda.memory.values() if memory.device == 0)
    assert on_device == (1 << 20) + 10 * (1 << 14)


def test_the_smallest_idle_piece_that_fits_is_used(engine: TensorRTEngine) -> None:
    arrays = [engine.to_device(np.zeros(size, dtype=np.uint8)) for size in (1 << 16, 5 << 13, 3 << 14)]
    addresses = [array.address for array in arrays]
    del arrays
    assert engine.to_device(np.zeros(5 << 13, dtype=np.uint8)).address == addresses[1]


@pytest.mark.parametrize("what", ["array", "run"])
def test_idle_memory_is_freed_where_the_device_is_full(
    engine: TensorRTEngine, cuda: FakeCuda, what: str
) -> None:
    for size in range(1, 9):
        engine.to_device(np.zeros(size << 16, dtype=np.uint8))
    before = cuda.taken
    cuda.most = before + (1 << 12)
    if what == "array":
        assert engine.to_device(np.zeros(9 << 16, dtype=np.uint8)).shape == (9 << 16,)
    else:
        logits = engine.run({"input_ids": IDS, "attention_mask": MASK})["logits"]
        np.testing.assert_array_equal(logits, EXPECTED)
    assert cuda.taken < before


def test_few_pieces_stay_idle(engine: TensorRTEngine, cuda: FakeCuda) -> None:
    arrays = [engine.to_device(np.zeros(size << 14, dtype=np.uint8)) for size in range(1, 41)]
    arrays.clear()
    engine.to_device(np.zeros(1, dtype=np.uint8))
    assert sum(memory.device == 0 for memory in cuda.memory.values()) <= 17


def test_memory_that_cannot_be_waited_for_is_not_lost(engine: TensorRTEngine, cuda: FakeCuda) -> None:
    address = engine.to_device(IDS).address
    gc.collect()
    cuda.fails = lambda function, number: function == "cudaDeviceSynchronize"
    with pytest.raises(EngineError, match="cudaDeviceSynchronize failed"):
        engine.to_device(IDS)
    cuda.fails = lambda function, number: False
    assert engine.to_device(IDS).address == address


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set when a thread is about to wait for the device."""
    begun = Event()
    real = CudaPython.wait_for_device

    def wait_for_device(cuda: CudaPython) -> None:
        begun.set()
        real(cuda)

    monkeypatch.setattr(CudaPython, "wait_for_device", wait_for_device)
    return begun


def test_the_device_is_not_waited_for_while_another_thread_captures_a_graph(
    cuda: FakeCuda, begun: Event
) -> None:
    runtime = CudaPython()
    stream = runtime.create_stream()
    with ThreadPoolExecutor(max_workers=1) as pool:
        waits: list[Future[None]] = []

        def enqueue() -> None:
            waits.append(pool.submit(runtime.wait_for_device))
            # Time for a call that does not wait, which CUDA refuses now
            assert begun.wait(timeout=30)
            wait(waits, timeout=0.2)

        runtime.capture(stream, enqueue)
        waits[0].result(timeout=30)


def test_nor_while_the_toolkit_captures_one(
    cuda: FakeCuda, begun: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = FakeContext.execute_async_v3
    engine = TensorRTEngine(fake_engine(cuda, captures_graphs=True), CudaPython(), GPU, EngineSettings())
    with ThreadPoolExecutor(max_workers=1) as pool:
        waits: list[Future[None]] = []

        def capturing(context: FakeContext, stream: int) -> bool:
            cuda.cudaStreamBeginCapture(stream, mode=1)
            waits.append(pool.submit(CudaPython().wait_for_device))
            assert begun.wait(timeout=30)
            wait(waits, timeout=0.2)
            cuda.cudaStreamEndCapture(stream)
            return execute(context, stream)

        monkeypatch.setattr(FakeContext, "execute_async_v3", capturing)
        engine.run({"input_ids": IDS, "attention_mask": MASK})
        waits[0].result(timeout=30)


def test_an_array_outlives_its_engine(engine: TensorRTEngine, cuda: FakeCuda) -> None:
    copy = engine.to_device(IDS)
    engine.close()
    assert cuda.leaks == {"memory": 1}
    del copy
    gc.collect()
    assert cuda.leaks == {}


@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_is_freed_while_a_graph_is_captured(
    engine: TensorRTEngine, cuda: FakeCuda, when: str
) -> None:
    """ONNX Runtime's captures break where another thread frees memory, and CUDA then does not free it."""
    array = engine.to_device(IDS)
    engine.run_on_device({"input_ids": array, "attention_mask": engine.to_device(MASK)})
    finalizer, held = engine._finalizer, [array]
    del array
    if when == "before":
        engine.close()
        # One piece is an array's, which goes during the capture
        assert cuda.leaks == {"memory": 1}
    with captures.alone():
        calls = len(cuda.calls)
        letting_go = Thread(target=lambda: (held.clear(), finalizer()))
        letting_go.start()
        letting_go.join(timeout=30)
        assert not letting_go.is_alive()
        assert len(cuda.calls) == calls
        assert cuda.leaks
    assert cuda.leaks == {}


def test_an_engine_that_is_collected_while_another_captures_a_graph(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Application:
        def __init__(self) -> None:
            self.itself = self
            self.engine = TensorRTEngine(fake_engine(cuda), CudaPython(), GPU, EngineSettings())
            self.engine.run(FED)

    other = TensorRTEngine(fake_engine(cuda), CudaPython(), GPU, EngineSettings())
    other.run(FED)
    taken = dict(cuda.leaks)
    real = FakeContext.execute_async_v3

    def collecting(context: FakeContext, stream: int) -> bool:
        gc.collect()
        return real(context, stream)

    gc.collect()
    gc.disable()
    try:
        Application()
        assert cuda.leaks != taken
        monkeypatch.setattr(FakeContext, "execute_async_v3", collecting)
        calls = len(cuda.calls)
        other.run(FED)
    finally:
        gc.enable()
    made = cuda.calls[calls:]
    begin, end = made.index("cudaStreamBeginCapture"), made.index("cudaStreamEndCapture")
    assert made[begin : end + 1] == ["cudaStreamBeginCapture", "enqueueV3", "cudaStreamEndCapture"]
    other.close()
    assert cuda.leaks == {}


def test_dlpack_keeps_the_memory_until_the_consumer_lets_go(engine: TensorRTEngine) -> None:
    array = engine.to_device(IDS)
    address, alive = array.address, array.owner
    capsule = array.__dlpack__()
    imported = dlpack.take(capsule)
    assert (imported.address, imported.device, imported.shape) == (address, 0, IDS.shape)
    assert imported.dtype == np.int64
    del array, capsule, alive
    gc.collect()
    # Had the memory been given back, this array would get it
    other = engine.to_device(IDS)
    assert other.address != address
    del imported
    gc.collect()
    assert engine.to_device(IDS).address == address


def test_a_capsule_that_nobody_takes_frees_its_array(engine: TensorRTEngine) -> None:
    array = engine.to_device(IDS)
    address = array.address
    capsule = array.__dlpack__()
    del array, capsule
    gc.collect()
    assert engine.to_device(IDS).address == address


def test_the_work_of_other_libraries_is_waited_for(engine: TensorRTEngine, cuda: FakeCuda) -> None:
    ids, mask = engine.to_device(IDS), engine.to_device(MASK)
    array = OnlyDlpack(ids)
    for given, waits in ((array, 1), (only_interface(ids), 0), (only_interface(ids, stream=1), 1)):
        before = cuda.calls.count("cudaStreamSynchronize")
        engine.run_on_device({"input_ids": given, "attention_mask": mask})
        # One more waits for the engine
        counted = cuda.calls.count("cudaStreamSynchronize") - before
        assert counted >= 1 + waits
    assert array.streams == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"typestr": "<i4"}, "has dtype int32; on the device it must be int64"),
        ({"strides": (8, 16)}, "has the strides .* it must be contiguous"),
        ({"shape": (2, 8, 1), "strides": (64, 1, 8)}, "are not multiples of an element's 8 bytes"),
        # A field of records of 12 bytes
        ({"shape": (1, 8), "strides": (96, 12)}, "are not multiples of an element's 8 bytes"),
        ({"mask": IDS}, "cannot be read: its __cuda_array_interface__ has a mask"),
        ({"data": None}, r"must be tuples, found \(2, 8\) and None"),
        ({"typestr": "<x8"}, "cannot be read"),
        ({"stream": "a stream"}, "must be a whole number, found 'a stream'"),
        ({"data": ()}, "cannot be read: tuple index out of range"),
        ({"data": (float("inf"), False)}, "cannot be read: cannot convert float infinity to integer"),
        ({"typestr": "i8,("}, "cannot be read"),
        ({"typestr": "|V0", "strides": (0, 0)}, "cannot be read"),
        ({"shape": "28"}, "must be tuples, found '28'"),
        (
            {"strides": np.array([8, 16])},
            r"the strides of .* must be a tuple or None, found array\(\[ 8, 16\]\)",
        ),
    ],
)
def test_arrays_that_do_not_fit(engine: TensorRTEngine, changes: dict[str, object], message: str) -> None:
    ids, mask = engine.to_device(IDS), engine.to_device(MASK)
    with pytest.raises(InputError, match=message):
        engine.run_on_device({"input_ids": only_interface(ids, **changes), "attention_mask": mask})


def test_an_array_that_refuses_to_be_shared(engine: TensorRTEngine) -> None:
    class Refusing:
        @property
        def __cuda_array_interface__(self) -> dict[str, object]:
            raise RuntimeError("it requires a gradient")

    with pytest.raises(InputError, match="'input_ids' cannot be read: it requires a gradient"):
        engine.run_on_device({"input_ids": Refusing(), "attention_mask": engine.to_device(MASK)})


@pytest.mark.parametrize("name", ["__dlpack_device__", "__dlpack__"])
def test_an_attribute_that_fails(engine: TensorRTEngine, name: str) -> None:
    class UnprintableError(RuntimeError):
        def __str__(self) -> str:
            raise ValueError("no text")

    def fail(array: object) -> object:
        raise UnprintableError

    attributes = {"__dlpack_device__": lambda array: (2, 0), name: property(fail)}
    array = type("Failing", (), attributes)()
    with pytest.raises(
        InputError, match=r"the Failing that was passed is not on one|cannot be read: UnprintableError"
    ):
        engine.run_on_device({"input_ids": array, "attention_mask": engine.to_device(MASK)})


def test_a_device_that_is_lost_while_an_array_is_read_is_no_fault_of_the_array(
    engine: TensorRTEngine, cuda: FakeCuda
) -> None:
    ids, mask = engine.to_device(IDS), engine.to_device(MASK)
    cuda.fails = lambda name, number: name == "cudaStreamSynchronize"
    with pytest.raises(EngineError, match="cudaStreamSynchronize failed"):
        engine.run_on_device({"input_ids": only_interface(ids, stream=1), "attention_mask": mask})


def test_a_row_of_a_larger_array_is_contiguous(engine: TensorRTEngine) -> None:
    row = engine.to_device(IDS[:1])
    # As torch.zeros(8, 128)[:1, :8] has them, in bytes
    sliced = only_interface(row, strides=(128 * 8, 8))
    outputs = engine.run_on_device({"input_ids": sliced, "attention_mask": engine.to_device(MASK[:1])})
    np.testing.assert_array_equal(engine.to_host(outputs["logits"]), EXPECTED[:1])


def test_an_array_on_another_device(engine: TensorRTEngine) -> None:
    ids, mask = engine.to_device(IDS), engine.to_device(MASK)
    with pytest.raises(InputError, match="is on cuda:3, and the engine runs on cuda:0"):
        engine.run_on_device({"input_ids": replace(ids, device=3), "attention_mask": mask})


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (IDS, "ndarray"),
        (IDS.tolist(), "list"),
        # As PyTorch's tensors on the CPU
        (SimpleNamespace(__dlpack_device__=lambda: (1, 0), __dlpack__=None), "SimpleNamespace"),
    ],
)
def test_what_is_not_on_a_device(engine: TensorRTEngine, ids: object, kind: str) -> None:
    mask = engine.to_device(MASK)
    with pytest.raises(
        InputError, match=f"'input_ids' must be an array on a CUDA device, and the {kind} that"
    ):
        engine.run_on_device({"input_ids": ids, "attention_mask": mask})


def test_a_missing_input(engine: TensorRTEngine) -> None:
    with pytest.raises(InputError, match="'attention_mask' is missing"):
        engine.run_on_device({"input_ids": engine.to_device(IDS)})


def test_numpy_reads_what_is_exported() -> None:
    """Oracle: numpy's own reader of DLPack, on an array that says that it is in host memory."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    capsule = dlpack.export(values.ctypes.data, 0, values.shape, values.dtype, values)
    pointer = dlpack._pointer_of(capsule, b"dltensor")
    managed = ctypes.cast(pointer, ctypes.POINTER(dlpack._ManagedTensor))
    managed.contents.tensor.device.type = 1

    class Exported:
        def __dlpack__(self, **options: object) -> object:
            return capsule

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    np.testing.assert_array_equal(np.from_dlpack(Exported()), values)


def test_a_library_may_free_an_array_after_python_has_ended(engine: TensorRTEngine) -> None:
    """As one does in a destructor of C; DLPack lets a deleter be absent, and consumers look."""
    array = engine.to_device(IDS)
    before = len(dlpack._exported)
    capsule = array.__dlpack__()
    pointer = dlpack._pointer_of(capsule, b"dltensor")
    managed = ctypes.cast(pointer, ctypes.POINTER(dlpack._ManagedTensor)).contents
    assert managed.deleter
    dlpack._let_go()
    assert not managed.deleter
    del capsule
    gc.collect()
    # A capsule that nobody took is let go as ever
    assert len(dlpack._exported) == before


def test_deleters_are_taken_back_while_another_thread_lets_go_of_an_array(
    engine: TensorRTEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    capsules = [engine.to_device(IDS).__dlpack__() for _ in range(4)]
    exported = tuple(dlpack._exported.values())
    real = dlpack._Deleter

    def meanwhile() -> object:
        capsules[2:] = []
        return real()

    monkeypatch.setattr(dlpack, "_Deleter", meanwhile)
    dlpack._let_go()
    assert not any(entry.managed.deleter for entry in exported)
