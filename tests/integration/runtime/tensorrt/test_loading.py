"""What can be tested of loading a real engine without a device; tests/gpu has the rest."""

from dataclasses import replace
from pathlib import Path

import pytest
from distilforge import UnavailableError
from distilforge.backends.tensorrt_rtx import TENSORRT_RTX
from distilforge.cuda import runtime
from distilforge.cuda.driver import Device, Driver, survey
from distilforge.manifest import Variant
from distilforge.tensorrt import backend
from distilforge.tensorrt.backend import TensorRT
from distilforge.tensorrt.loading import load_engine
from distilforge.tensorrt.log import log_of
from distilforge.tensorrt.settings import EngineSettings

from tests.device_release import device_variant, engine_release
from tests.runtime_release import read_manifest

AMPERE = Device(index=0, name="A GPU", capability=(8, 6))
HOPPER = Device(index=1, name="Another", capability=(9, 0))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return engine_release(tmp_path / "release", "tensorrt-rtx", "fp16")


def variant_of(release: Path) -> Variant:
    return read_manifest(release).variants[0]


@pytest.mark.skipif(
    not isinstance(survey(), str), reason="there is a device here: tests/gpu loads the engine"
)
def test_a_refused_engine_is_an_error_with_the_toolkits_message(release: Path) -> None:
    toolkit = pytest.importorskip("tensorrt_rtx")
    with pytest.raises(
        UnavailableError,
        match=r"(?s)TensorRT-RTX 1\.[0-9.]+ says that 'tensorrt/rtx-fp16.engine' cannot run on this machine: "
        r".*cudaError 35.*built by TensorRT-RTX 1.* for 8\.0, 8\.6, 8\.9, 12\.0\+.*has A GPU \(cuda:0\) of 8\.6",
    ):
        load_engine(toolkit, TENSORRT_RTX, variant_of(release), release, AMPERE, EngineSettings())


def test_a_file_that_is_not_an_engine(release: Path) -> None:
    toolkit = pytest.importorskip("tensorrt_rtx")
    (release / "tensorrt" / "rtx-fp16.engine").write_bytes(b"not an engine" * 100)
    with pytest.raises(UnavailableError, match="cannot run on this machine"):
        load_engine(toolkit, TENSORRT_RTX, variant_of(release), release, AMPERE, EngineSettings())


def test_the_log_keeps_errors_and_returns_them_once() -> None:
    toolkit = pytest.importorskip("tensorrt_rtx")
    log = log_of(toolkit, "RTX")
    log.complaints()
    log.log(toolkit.ILogger.Severity.WARNING, "slow")  # type: ignore[attr-defined]
    log.log(toolkit.ILogger.Severity.ERROR, "broken")  # type: ignore[attr-defined]
    log.log(toolkit.ILogger.Severity.INTERNAL_ERROR, "very broken")  # type: ignore[attr-defined]
    log.log(toolkit.ILogger.Severity.ERROR, "broken")  # type: ignore[attr-defined]
    assert log.complaints() == "broken; very broken"
    assert log.complaints() == "RTX did not say why"


def devices(monkeypatch: pytest.MonkeyPatch, *devices_found: Device) -> None:
    monkeypatch.setattr(backend, "survey", lambda: Driver(version=(13, 0), devices=devices_found))


class TestDevices:
    variant = device_variant("tensorrt-rtx")

    @pytest.mark.parametrize(
        ("providers", "indices"), [(None, [0, 1]), (("cuda:0",), [0]), (("cuda:1",), [1])]
    )
    def test_those_that_fit_or_the_one_that_is_named(
        self, monkeypatch: pytest.MonkeyPatch, providers: tuple[str, ...] | None, indices: list[int]
    ) -> None:
        devices(monkeypatch, AMPERE, replace(AMPERE, index=1))
        assert [device.index for device in backend._devices(self.variant, providers)] == indices

    def test_one_that_does_not_fit_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        devices(monkeypatch, replace(HOPPER, index=0), replace(AMPERE, index=1))
        assert [device.index for device in backend._devices(self.variant, None)] == [1]

    @pytest.mark.parametrize(
        ("providers", "message"),
        [
            (
                ("cuda:7",),
                r"(?s)there is no cuda:7; this machine has A GPU \(cuda:0\) of 8.6, .*pass one of cuda:0",
            ),
            (("cuda:1",), r"for compute capability 8\.0, .* and cuda:1 is Another \(cuda:1\) of 9\.0"),
            (
                ("CUDAExecutionProvider",),
                "runs on one device, and cannot use the providers CUDAExecutionProvider",
            ),
            (("cuda:0", "cuda:1"), "runs on one device"),
        ],
    )
    def test_a_named_device(
        self, monkeypatch: pytest.MonkeyPatch, providers: tuple[str, ...], message: str
    ) -> None:
        devices(monkeypatch, AMPERE, HOPPER)
        with pytest.raises(UnavailableError, match=message):
            backend._devices(self.variant, providers)

    def test_none_fits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        devices(monkeypatch, HOPPER)
        with pytest.raises(UnavailableError, match=r"this machine has Another \(cuda:1\) of 9\.0"):
            backend._devices(self.variant, None)


def test_preparing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UnavailableError, match=r"(?s)no_such_toolkit does not import.*distilforge\[tensorrt-rtx\]"
    ):
        TensorRT(runtime=replace(TENSORRT_RTX, module="no_such_toolkit"), preference=1).prepare()
    monkeypatch.setattr(runtime, "MODULE", "no_such_bindings.runtime")
    with pytest.raises(
        UnavailableError, match=r"(?s)no_such_bindings.runtime does not import.*pip install cuda-bindings"
    ):
        TensorRT(runtime=replace(TENSORRT_RTX, module="json"), preference=1).prepare()
