"""cuda-python accepts our arguments: without a driver, every function fails for that reason and for no other."""

import pytest
from distilforge.cuda import runtime
from distilforge.cuda.driver import survey
from distilforge.cuda.runtime import CudaPython
from distilforge.errors import EngineError, UnavailableError

from tests.fake_gpu.cuda import FakeCuda

CALLS = (
    ("allocate", (16,)),
    ("free", (16,)),
    ("allocate_pinned", (16,)),
    ("free_pinned", (16,)),
    ("copy_in", (16, 32, 8, 64)),
    ("copy_out", (16, 32, 8, 64)),
    ("copy_on_device", (16, 32, 8, 64)),
    ("device_of", (16,)),
    ("create_stream", ()),
    ("wait", (64,)),
    ("wait_for_device", ()),
    ("destroy_stream", (64,)),
    ("capture", (64, lambda: None)),
    ("launch", (64, 64)),
    ("destroy_graph", (64,)),
)


@pytest.fixture
def cuda() -> CudaPython:
    pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    return CudaPython()


@pytest.mark.skipif(
    not isinstance(survey(), str), reason="there is a device here, which invalid handles might upset"
)
@pytest.mark.parametrize(("function", "arguments"), CALLS)
def test_without_a_driver(cuda: CudaPython, function: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(EngineError, match=r"CUDA's cuda\w+ failed: cudaError\w+, "):
        getattr(cuda, function)(*arguments)


@pytest.mark.skipif(not isinstance(survey(), str), reason="there is a device here")
def test_choosing_a_device_without_a_driver(cuda: CudaPython) -> None:
    with pytest.raises(EngineError, match=r"CUDA's cudaGetDevice failed: cudaError\w+, "), cuda.on(0):
        pytest.fail("there is no device")


def test_the_current_device_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(devices=3)
    cuda = fake.installed(monkeypatch)
    fake.cudaSetDevice(2)
    with cuda.on(1):
        assert fake.device == 1
        with cuda.on(1):
            assert fake.device == 1
        assert fake.device == 1
    assert fake.device == 2
    with pytest.raises(ValueError, match="inside"), cuda.on(0):
        raise ValueError("inside")
    assert fake.device == 2


def test_no_context_is_made_on_a_device_that_nobody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(devices=2)
    cuda = fake.installed(monkeypatch)
    with cuda.on(1):
        assert fake.device == 1
    assert fake.used == {1}
    with cuda.on(1):
        assert fake.device == 1


def test_a_package_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MODULE", "no_such_bindings.runtime")
    with pytest.raises(UnavailableError, match=r"(?s)does not import.*pip install cuda-bindings"):
        CudaPython()
