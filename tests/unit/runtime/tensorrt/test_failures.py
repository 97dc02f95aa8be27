"""Every call of CUDA and TensorRT that fails ends in one of our errors, and what was taken is freed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.cuda.runtime import CudaPython
from distilforge.errors import DistilforgeError, EngineError, UnavailableError
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.kernels import KernelCache
from distilforge.tensorrt.settings import EngineSettings
from distilforge.tensorrt.toolkit import Context

from tests.fake_gpu.cuda import ALLOCATING, FREEING, Error, FakeCuda
from tests.fake_gpu.toolkit import GPU, Cache, fake_engine

# Two shapes, each run once, captured and launched; the second needs larger memory
SHAPES = ((2, 8), (2, 8), (2, 8), (8, 64), (8, 64), (8, 64))
# Their failure costs a CUDA graph, and no answer
FOR_GRAPHS = (
    "createContext",
    "cudaStreamBeginCapture",
    "cudaStreamEndCapture",
    "cudaGraphInstantiate",
    "enqueueV3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the runs of all shapes on one engine went, which goes on after each error."""

    errors: tuple[DistilforgeError, ...]
    """The errors of the runs."""
    calls: tuple[str, ...]
    """The functions that the runs called; those that closed the engine are not among them."""


def run_all(cuda: FakeCuda, *, captures_graphs: bool) -> Outcome:
    loaded = fake_engine(cuda, captures_graphs=captures_graphs)
    engine = TensorRTEngine(loaded, CudaPython(), GPU, EngineSettings(contexts=1, cuda_graphs=2))
    errors: list[DistilforgeError] = []
    for batch, tokens in SHAPES:
        ids = np.full((batch, tokens), 3)
        try:
            logits = engine.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})["logits"]
        except DistilforgeError as error:
            # A traceback keeps the context alive, and what it owns
            errors.append(error.with_traceback(None))
        else:
            np.testing.assert_array_equal(logits, [[3 * tokens, tokens, 0]] * batch)
    calls = tuple(cuda.calls)
    engine.close()
    return Outcome(errors=tuple(errors), calls=calls)


def undisturbed(patch: pytest.MonkeyPatch, *, captures_graphs: bool) -> tuple[tuple[str, ...], int]:
    """The calls of the runs when nothing fails, and the number of all calls."""
    cuda = FakeCuda()
    cuda.installed(patch)
    outcome = run_all(cuda, captures_graphs=captures_graphs)
    assert outcome.errors == ()
    assert cuda.leaks == {}
    return outcome.calls, len(cuda.calls)


@pytest.mark.parametrize("captures_graphs", [False, True])
def test_one_call_fails(monkeypatch: pytest.MonkeyPatch, captures_graphs: bool) -> None:
    calls, count = undisturbed(monkeypatch, captures_graphs=captures_graphs)
    for number in range(count):
        cuda = FakeCuda(fails=lambda function, at, number=number: at == number)  # type: ignore[misc]
        cuda.installed(monkeypatch)
        errors = run_all(cuda, captures_graphs=captures_graphs).errors
        function = calls[number] if number < len(calls) else ""
        if not function or function in FREEING or function in FOR_GRAPHS:
            assert len(errors) <= 1, (number, function)
        else:
            assert len(errors) == 1, (number, function)
        assert cuda.leaks == {}, (number, function)


@pytest.mark.parametrize("captures_graphs", [False, True])
def test_the_device_is_lost(monkeypatch: pytest.MonkeyPatch, captures_graphs: bool) -> None:
    calls, count = undisturbed(monkeypatch, captures_graphs=captures_graphs)
    for number in range(count):
        cuda = FakeCuda(fails=lambda function, at, number=number: at >= number)  # type: ignore[misc]
        cuda.installed(monkeypatch)
        errors = run_all(cuda, captures_graphs=captures_graphs).errors
        assert bool(errors) == (number < len(calls)), (number, errors)
        assert all(isinstance(error, EngineError | UnavailableError) for error in errors)
        assert cuda.leaks == {}, number


@pytest.mark.parametrize("function", sorted(ALLOCATING))
def test_every_allocation_fails(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    cuda = FakeCuda(fails=lambda name, at: name == function, error=Error.cudaErrorMemoryAllocation)
    cuda.installed(monkeypatch)
    errors = run_all(cuda, captures_graphs=False).errors
    assert len(errors) == (0 if function == "cudaGraphInstantiate" else len(SHAPES))
    assert all("MemoryAllocation" in error.message for error in errors)
    assert cuda.leaks == {}


def test_everything_is_freed_where_keeping_kernels_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuda = FakeCuda()
    cuda.installed(monkeypatch)
    kernels = KernelCache(Cache(), tmp_path / "x.cache")
    engine = TensorRTEngine(
        fake_engine(cuda, captures_graphs=True), CudaPython(), GPU, EngineSettings(), kernels
    )
    engine.prepare()
    engine.to_device(np.ones(8))
    assert set(cuda.leaks) == {"memory", "streams"}

    def fail() -> bool:
        raise MemoryError

    monkeypatch.setattr(kernels, "save", fail)
    with pytest.raises(MemoryError):
        engine.close()
    assert cuda.leaks == {}


def test_a_stream_does_not_outlive_a_context_that_could_not_be_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda()
    cuda.installed(monkeypatch)

    def refuse() -> Context:
        raise EngineError("no context")

    loaded = replace(fake_engine(cuda), new_context=refuse)
    engine = TensorRTEngine(loaded, CudaPython(), GPU, EngineSettings())
    with pytest.raises(EngineError, match="no context"):
        engine.prepare()
    assert cuda.leaks == {}
