"""Why an engine does not run here: what it needs, what the machine has, and what to do."""

import re
from dataclasses import replace

import pytest
from distilforge.backends.tensorrt import TENSORRT
from distilforge.backends.tensorrt_rtx import TENSORRT_RTX
from distilforge.cuda import runtime
from distilforge.cuda.driver import Device, Driver
from distilforge.manifest import Variant
from distilforge.tensorrt import obstacles
from distilforge.tensorrt.engine_runtime import EngineRuntime
from distilforge.tensorrt.obstacles import numbers

from tests.device_release import compiled, device_variant

AMPERE = Device(index=0, name="NVIDIA RTX A4000", capability=(8, 6))
HOPPER = Device(index=1, name="NVIDIA H100", capability=(9, 0))


def obstacle(
    devices: tuple[Device, ...] = (AMPERE,),
    driver: tuple[int, int] = (13, 2),
    engine_runtime: EngineRuntime = TENSORRT_RTX,
    **changes: object,
) -> str | None:
    variant: Variant = replace(device_variant("tensorrt-rtx"), compiled=compiled(**changes))
    return obstacles.obstacle(variant, engine_runtime, lambda: Driver(version=driver, devices=devices))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The installed version of TensorRT-RTX; CUDA's bindings are made to look installed."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    monkeypatch.setattr(runtime, "MODULE", "json")
    installed_version = obstacles.installed(TENSORRT_RTX)
    assert installed_version is not None
    return installed_version


def test_another_capability() -> None:
    assert obstacle((HOPPER,)) == (
        "it needs an NVIDIA GPU of compute capability 8.0, 8.6, 8.9, or 12.0 and later, "
        "and this machine has NVIDIA H100 (cuda:1) of 9.0"
    )


def test_a_toolkit_that_is_absent() -> None:
    absent = replace(TENSORRT_RTX, module="no_such_toolkit")
    assert obstacle(engine_runtime=absent) == (
        "it needs TensorRT-RTX, which is not installed; pip install 'distilforge[tensorrt-rtx]'"
    )
    jetson = obstacle(engine_runtime=replace(TENSORRT, module="no_such_toolkit"))
    assert jetson is not None
    assert jetson.endswith("on Jetson it comes with JetPack")


def test_bindings_that_are_absent(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MODULE", "no_such_bindings.runtime")
    assert obstacle() == "it needs cuda-bindings, which is not installed; pip install cuda-bindings"


def test_a_driver_that_is_too_old(installed: str) -> None:
    clause = obstacle(driver=(12, 4))
    assert clause is not None
    # Either package can be the first
    assert re.match(
        rf"it needs a driver for CUDA 13\.0 or later, which (tensorrt-rtx-cu13 {installed}|cuda-bindings 13\S+) is",
        clause,
    )
    assert "this machine's driver is for CUDA 12.4" in clause


class TestVersions:
    @pytest.fixture(autouse=True)
    def _installed(self, installed: str) -> None:
        self.installed = installed

    def told(self, version: str, **options: str) -> str | None:
        variant = replace(device_variant("tensorrt-rtx"), compiled=compiled(version=version, options=options))
        return obstacles.obstacle(
            variant, TENSORRT_RTX, lambda: Driver(version=(13, 2), devices=(HOPPER, AMPERE))
        )

    def test_the_same(self) -> None:
        assert self.told(self.installed) is None

    @pytest.mark.parametrize("version", ["1.0.0.1", "99.0.0.1"])
    def test_another(self, version: str) -> None:
        assert self.told(version) == (
            f"it was built by TensorRT-RTX {version} and runs with that version alone, and {self.installed} is "
            f"installed; pip install tensorrt-rtx=={version}, or build the release with {self.installed}"
        )

    def test_compatible_with_later_ones(self) -> None:
        assert self.told("1.0.0.1", version_compatible="true") is None
        assert self.told("1.0.0.1", version_compatible="false") is not None

    def test_compatible_with_none_before(self) -> None:
        clause = self.told("99.0.0.1", version_compatible="true")
        assert clause is not None
        assert "runs with that version and later ones" in clause


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.7.1.116", (1, 7, 1, 116)),
        ("10.14.1.48.post1", (10, 14, 1, 48)),
        ("11.4.0.106+cuda13", (11, 4, 0, 106)),
        ("10.3", (10, 3)),
        ("unknown", (0,)),
    ],
)
def test_numbers(text: str, expected: tuple[int, ...]) -> None:
    assert numbers(text) == expected
