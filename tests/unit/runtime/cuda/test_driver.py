"""The driver's answers become devices, or a clause that says what is missing."""

import ctypes
import re
from collections.abc import Mapping

import pytest
from distilforge.cuda import driver
from distilforge.cuda.driver import Device, Driver, asked, survey

GPUS = (("A GPU", (8, 6)), ("Another", (12, 0)))
NAMES = {3: b"CUDA_ERROR_NOT_INITIALIZED"}


class Answering:
    """A driver for CUDA `version` with the devices `gpus`; `errors` are the functions that fail."""

    def __init__(
        self,
        version: int = 13050,
        gpus: tuple[tuple[str, tuple[int, int]], ...] = GPUS,
        errors: Mapping[str, int] | None = None,
    ) -> None:
        self._version = version
        self._gpus = gpus
        self._errors = errors or {}

    def __call__(self, function: str, *arguments: object) -> int:
        if function in self._errors:
            return self._errors[function]
        result = getattr(self, f"_{function}")(*arguments)
        return int(result or 0)

    def _cuInit(self, flags: int) -> None:
        assert flags == 0

    def _cuDriverGetVersion(self, number: object) -> None:
        self._store(number, self._version)

    def _cuDeviceGetCount(self, number: object) -> None:
        self._store(number, len(self._gpus))

    def _cuDeviceGet(self, handle: object, index: int) -> None:
        self._store(handle, 40 + index)

    def _cuDeviceGetName(self, name: "ctypes.Array[ctypes.c_char]", size: int, handle: ctypes.c_int) -> None:
        assert size == len(name)
        name.value = self._gpus[handle.value - 40][0].encode()

    def _cuDeviceGetAttribute(self, value: object, attribute: int, handle: ctypes.c_int) -> None:
        self._store(value, self._gpus[handle.value - 40][1][{75: 0, 76: 1}[attribute]])

    def _cuDeviceGetPCIBusId(
        self, address: "ctypes.Array[ctypes.c_char]", size: int, handle: ctypes.c_int
    ) -> None:
        assert size == len(address) == len("0000:65:00.0") + 1
        address.value = f"0000:{handle.value}:00.0".encode()

    def _cuGetErrorName(self, error: int, name: object) -> None:
        self._store(name, NAMES.get(error))

    @staticmethod
    def _store(reference: object, value: object) -> None:
        reference._obj.value = value  # type: ignore[attr-defined]


def test_devices() -> None:
    driver_and_devices = asked(Answering())
    assert driver_and_devices == Driver(
        version=(13, 5),
        devices=(
            Device(index=0, name="A GPU", capability=(8, 6), pci="0000:40:00.0"),
            Device(index=1, name="Another", capability=(12, 0), pci="0000:41:00.0"),
        ),
    )
    assert [device.provider for device in driver_and_devices.devices] == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("driver", "clause"),
    [
        (Answering(errors={"cuInit": 100}), "for CUDA 13.5, sees no GPU; CUDA_VISIBLE_DEVICES"),
        (Answering(gpus=()), "sees no GPU"),
        (
            Answering(12040, errors={"cuInit": 3}),
            r"for CUDA 12.4, .* start: CUDA_ERROR_NOT_INITIALIZED \(3\)",
        ),
        (Answering(errors={"cuInit": 999}), r"does not start: CUDA error \(999\)"),
        (Answering(errors={"cuDriverGetVersion": 1}), "does not say its version"),
        (Answering(errors={"cuDeviceGetName": 3}), r"start: CUDA_ERROR_NOT_INITIALIZED \(3\)"),
    ],
)
def test_what_is_missing(driver: Answering, clause: str) -> None:
    answer = asked(driver)
    assert isinstance(answer, str)
    assert re.search(clause, answer)


def test_this_machine() -> None:
    """The real driver, if there is one: devices or a clause, and the same in the second call."""
    answer = survey()
    assert survey() is answer
    if isinstance(answer, str):
        assert "this machine" in answer
    else:
        assert answer.devices


def test_a_machine_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LIBRARY", "libno-such-driver.so.1")
    answer = survey.__wrapped__()
    assert isinstance(answer, str)
    assert answer.startswith("this machine has no NVIDIA driver (libno-such-driver.so.1")
