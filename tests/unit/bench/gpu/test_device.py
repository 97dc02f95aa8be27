"""What is said about the device."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from distilforge.cuda import driver
from distilforge.cuda.driver import Device, Driver
from distilforge.manifest import Variant
from distilforge.tensorrt.settings import EngineSettings

from bench.gpu import device, engine_runner

PRINTED = "1980 MHz, 1980 MHz, 2619 MHz, 0x0000000000000004, 652.10 W, 700.00 W, Enabled\n"


def test_clocks_are_recorded_with_what_limits_them() -> None:
    text = device.clocks_text(PRINTED)
    assert text.startswith("clocks.sm 1980 MHz, clocks.max.sm 1980 MHz")
    assert "clocks_event_reasons.active 0x0000000000000004" in text
    assert text.endswith("persistence_mode Enabled")


def test_a_machine_without_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device(index=0, name="A GPU", capability=(9, 0), pci="0000:65:00.0")
    monkeypatch.setattr(driver, "survey", lambda: Driver(version=(13, 0), devices=(gpu,)))
    monkeypatch.setenv("PATH", "")
    assert device.clocks().startswith("not known: ")


def two_gpus() -> Driver:
    return Driver(
        version=(13, 0),
        devices=(
            Device(index=0, name="The first", capability=(9, 0)),
            Device(index=1, name="The second", capability=(8, 6)),
        ),
    )


def test_the_device_that_is_described_is_the_one_that_engines_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    properties = SimpleNamespace(total_memory=80 * 2**30)
    torch = SimpleNamespace(
        cuda=SimpleNamespace(get_device_properties=lambda index: properties),
        version=SimpleNamespace(cuda="13.0"),
    )
    monkeypatch.setattr(driver, "survey", two_gpus)
    monkeypatch.setattr(device.importlib, "import_module", lambda name: torch)
    described = device.describe()
    assert (described["device"], described["compute capability"]) == ("The first", "9.0")
    assert device.PROVIDER == "cuda:0"


def test_an_engine_is_opened_on_that_device_with_its_kernels_compiled_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where a turn ends, the process is stopped: nothing can be compiled in the background."""
    opened: list[tuple[Variant, object]] = []

    class Backend:
        def obstacle(self, variant: Variant) -> str | None:
            return None

        def load(
            self, variant: Variant, folder: Path, *, manifest: None, providers: object, threads: object
        ) -> object:
            opened.append((variant, providers))
            return object()

    variant = Variant(target="tensorrt-rtx", precision="fp16", files=("x.engine",), session={"contexts": "1"})
    monkeypatch.setattr(engine_runner, "read_variant", lambda folder: variant)
    monkeypatch.setattr(engine_runner.backends, "get", lambda name: Backend())
    engine_runner.open_engine(tmp_path, copies=True)
    ((timed, providers),) = opened
    assert providers == ("cuda:0",)
    assert timed.session == {"contexts": "1", "kernels": "eager"}
    assert EngineSettings.of(timed).cuda_graphs > 0
