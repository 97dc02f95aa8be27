"""A release with variants for many machines: one that runs here is selected, and the reasons of the others given."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import distilforge
import pytest
from distilforge import ReleaseError, UnavailableError
from distilforge.cuda import driver
from distilforge.cuda.driver import survey

from tests.device_release import device_variant, with_variants
from tests.runtime_release import read_manifest

CPU = "onnxruntime-cpu:fp32"
TARGETS = ("tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt", "onnxruntime-rtx", "onnxruntime-cuda")


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without an NVIDIA driver, also where there is one."""
    monkeypatch.setattr(driver, "LIBRARY", "libno-driver.so.1")
    survey.cache_clear()
    yield
    survey.cache_clear()


@pytest.fixture
def for_devices(release: Path, no_driver: None) -> Path:
    """The release with a variant for each device target."""
    return with_variants(release, *map(device_variant, TARGETS))


def test_the_cpu_serves_and_the_log_says_why(for_devices: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="distilforge"):
        session = distilforge.open(for_devices)
    assert session.variant.name == CPU
    assert f"chose {CPU}, the only one that can run here" in caplog.text
    for target in TARGETS:
        wanted = " of compute capability 8.0, 8.6, 8.9, or 12.0 and later" if "runtime" not in target else ""
        assert (
            f"{target}:fp16 cannot run here: it needs an NVIDIA GPU{wanted}, and this machine has no NVIDIA "
            "driver (libno-driver.so.1: cannot open" in caplog.text
        )


@pytest.mark.parametrize("target", TARGETS)
def test_asked_for_by_name(for_devices: Path, target: str) -> None:
    with pytest.raises(
        UnavailableError,
        match=rf"(?s)'{target}:fp16' cannot run on this machine: it needs an NVIDIA GPU.*"
        rf"this machine has no NVIDIA driver.*pass variant='{CPU}': it can run here",
    ):
        distilforge.open(for_devices, variant=f"{target}:fp16")


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx"])
def test_an_engine_that_the_manifest_does_not_describe(release: Path, target: str) -> None:
    with_variants(release, device_variant(target, compiled=None))
    for asked in (None, f"{target}:fp16"):
        with pytest.raises(ReleaseError, match=rf"'{target}:fp16' is an engine, and .* has no 'compiled'"):
            distilforge.open(release, variant=asked)


def test_a_capability_that_is_not_one(release: Path) -> None:
    wrong = device_variant("tensorrt-rtx")
    assert wrong.compiled is not None
    wrong = replace(wrong, compiled=replace(wrong.compiled, capabilities=("sm_86",)))
    with_variants(release, wrong)
    with pytest.raises(ReleaseError, match=r"'sm_86' in a variant's compiled\.capabilities"):
        distilforge.open(release)


def test_a_manifest_keeps_what_was_compiled(for_devices: Path) -> None:
    variants = {variant.name: variant for variant in read_manifest(for_devices).variants}
    assert variants["tensorrt-rtx:fp16"].compiled == device_variant("tensorrt-rtx").compiled
