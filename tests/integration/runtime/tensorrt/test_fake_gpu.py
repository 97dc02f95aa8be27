"""From `distilforge.open` to an answer on a fake GPU: driver, CUDA's runtime and TensorRT in host memory."""

import gc
import logging
import multiprocessing
import os
import re
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import distilforge
import numpy as np
import pytest
from distilforge import EngineError, InputError, UnavailableError
from distilforge.cuda import driver
from distilforge.cuda.driver import Driver, survey
from distilforge.onnxruntime import engine as onnxruntime_engine
from distilforge.tensorrt.engine import TensorRTEngine

from tests.device_release import device_variant, with_variants
from tests.fake_gpu.cuda import Error, FakeCuda
from tests.fake_gpu.driver import library
from tests.fake_gpu.toolkit import Cache, Toolkit, Validity
from tests.runtime_release import copied, read_manifest, record_again, write_manifest

HEAD = "sequence_classification"
RTX, CPU = "tensorrt-rtx:fp16", "onnxruntime-cpu:fp32"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file with the processes in which the driver was started."""
    return tmp_path / "started"


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, log: Path) -> Iterator[pytest.MonkeyPatch]:
    """A machine whose driver is the fake one, with a GPU of 8.6; tests set other capabilities and errors."""
    monkeypatch.setattr(driver, "LIBRARY", str(library()))
    monkeypatch.setenv("FAKE_GPU_CAPABILITIES", "8.6")
    monkeypatch.setenv("FAKE_GPU_LOG", str(log))
    survey.cache_clear()
    yield monkeypatch
    survey.cache_clear()


@pytest.fixture
def cuda(gpus: pytest.MonkeyPatch, tmp_path: Path) -> FakeCuda:
    fake = FakeCuda()
    fake.installed(gpus)
    gpus.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake


@pytest.fixture
def toolkit(cuda: FakeCuda, gpus: pytest.MonkeyPatch) -> Toolkit:
    fake = Toolkit(cuda)
    gpus.setitem(sys.modules, "tensorrt_rtx", fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture
def release(tmp_path: Path, toolkit: Toolkit) -> Path:
    """A release with an engine of TensorRT-RTX for 8.0, 8.6, 8.9, 12.0 and later, and a graph for the CPU."""
    variant = device_variant("tensorrt-rtx")
    # Whatever version is installed runs it
    assert variant.compiled is not None
    variant = replace(variant, compiled=replace(variant.compiled, version=""))
    return with_variants(copied(HEAD, tmp_path / "release"), variant)


def check(session: distilforge.Session) -> None:
    for tokens in (8, 40, 8, 8):
        ids = np.full((2, tokens), 3)
        logits = session.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})["logits"]
        np.testing.assert_array_equal(logits, [[3 * tokens, tokens, int(tokens > 16)]] * 2)


def test_the_driver_starts_in_another_process(gpus: pytest.MonkeyPatch, log: Path) -> None:
    gpus.setenv("FAKE_GPU_CAPABILITIES", "8.6,9.0,12.0")
    surveyed = survey()
    assert isinstance(surveyed, Driver)
    assert surveyed.version == (13, 2)
    assert [(device.provider, device.capability, device.pci) for device in surveyed.devices] == [
        ("cuda:0", (8, 6), "0000:10:00.0"),
        ("cuda:1", (9, 0), "0000:11:00.0"),
        ("cuda:2", (12, 0), "0000:12:00.0"),
    ]
    (started,) = log.read_text().split()
    assert int(started) != os.getpid()


def test_a_driver_may_print(gpus: pytest.MonkeyPatch) -> None:
    gpus.setenv("FAKE_GPU_PRINTS", "1")
    surveyed = survey()
    assert isinstance(surveyed, Driver)
    assert [device.capability for device in surveyed.devices] == [(8, 6)]


@pytest.mark.parametrize("executable", ["/usr/bin/uwsgi", "", None])
@pytest.mark.parametrize("has_python", [True, False])
def test_an_application_with_python_inside_starts_python_or_asks_itself(
    gpus: pytest.MonkeyPatch, log: Path, tmp_path: Path, executable: str | None, has_python: bool
) -> None:
    gpus.setattr(sys, "executable", executable)
    if not has_python:
        gpus.setattr(sys, "exec_prefix", str(tmp_path))
    assert isinstance(survey(), Driver)
    (process,) = log.read_text().split()
    assert (process == str(os.getpid())) == (not has_python)


@pytest.mark.parametrize(
    ("variable", "value", "clause"),
    [
        ("FAKE_GPU_ERROR", "999", r"does not start: CUDA_ERROR_UNKNOWN \(999\)"),
        ("FAKE_GPU_ERROR", "100", "sees no GPU"),
        ("FAKE_GPU_CAPABILITIES", "", "sees no GPU"),
        ("FAKE_GPU_CRASH", "1", "does not start: the process that asked it ended with exit code -6"),
    ],
)
def test_a_driver_that_does_not_start(
    gpus: pytest.MonkeyPatch, variable: str, value: str, clause: str
) -> None:
    gpus.setenv(variable, value)
    answer = survey()
    assert isinstance(answer, str)
    assert answer.startswith("this machine's NVIDIA driver, for CUDA 13.2, ")
    assert re.search(clause, answer)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_opening_a_release_on_the_cpu_starts_no_driver_in_the_parent_of_workers(
    gpus: pytest.MonkeyPatch, log: Path, release: Path
) -> None:
    session = distilforge.open(release, variant=CPU)
    assert session.variant.name == CPU
    started = log.read_text().split() if log.exists() else []
    assert str(os.getpid()) not in started


@pytest.mark.parametrize("capability", ["8.6", "12.0"])
def test_an_engine_answers(gpus: pytest.MonkeyPatch, release: Path, cuda: FakeCuda, capability: str) -> None:
    gpus.setenv("FAKE_GPU_CAPABILITIES", capability)
    session = distilforge.open(release)
    assert session.variant.name == RTX
    assert session.providers == ("cuda:0",)
    check(session)
    session._loaded.engine.close()  # type: ignore[attr-defined]
    assert {kind: count for kind, count in cuda.leaks.items() if kind != "memory"} == {}


def test_a_capability_that_the_engine_is_not_for(
    gpus: pytest.MonkeyPatch, release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpus.setenv("FAKE_GPU_CAPABILITIES", "9.0")
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert distilforge.open(release).variant.name == CPU
    assert "of compute capability 8.0, 8.6, 8.9, or 12.0 and later, and this machine has" in caplog.text
    with pytest.raises(UnavailableError, match=r"Fake GPU 0 \(cuda:0\) of 9\.0"):
        distilforge.open(release, variant=RTX)


def test_the_second_of_two_devices(gpus: pytest.MonkeyPatch, release: Path, cuda: FakeCuda) -> None:
    gpus.setenv("FAKE_GPU_CAPABILITIES", "9.0,12.0")
    cuda.devices = 2
    session = distilforge.open(release)
    assert session.providers == ("cuda:1",)
    check(session)
    on_devices = {memory.device for memory in cuda.memory.values()} - {None}
    assert on_devices == {1}
    # Nothing was begun on the other one
    assert cuda.used == {1}


def test_a_variant_that_does_not_know_the_providers_is_passed_over(release: Path) -> None:
    assert distilforge.open(release, providers=["CPUExecutionProvider"]).variant.name == CPU
    assert distilforge.open(release, providers=["cuda:0"]).variant.name == RTX
    with pytest.raises(
        UnavailableError,
        match=r"(?s)no variant starts with the providers NoProvider: .*NoProvider.* is not in the installed",
    ):
        distilforge.open(release, providers=["NoProvider"])


def test_the_next_device_where_the_first_one_is_full(
    gpus: pytest.MonkeyPatch, release: Path, cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    gpus.setenv("FAKE_GPU_CAPABILITIES", "8.6,8.6")
    cuda.devices = 2
    cuda.error = Error.cudaErrorMemoryAllocation
    cuda.fails = lambda name, number: name == "createContext" and cuda.device == 0
    with caplog.at_level(logging.WARNING, logger="distilforge"):
        session = distilforge.open(release)
    assert session.providers == ("cuda:1",)
    assert "the next device is tried" in caplog.text
    check(session)


class TestABrokenDevice:
    @pytest.fixture(params=["cudaGetDevice", "cudaStreamCreateWithFlags", "createContext"])
    def broken(self, request: pytest.FixtureRequest, cuda: FakeCuda) -> str:
        function = str(request.param)
        cuda.fails = lambda name, number: name == function
        cuda.error = Error.cudaErrorIllegalAddress
        return function

    def test_the_next_variant_is_opened_and_the_log_says_why(
        self, release: Path, broken: str, caplog: pytest.LogCaptureFixture, cuda: FakeCuda
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="distilforge"):
            session = distilforge.open(release)
        assert session.variant.name == CPU
        assert f"{RTX} does not start: " in caplog.text
        assert broken in caplog.text or "execution context" in caplog.text
        assert cuda.leaks == {}

    def test_nothing_of_it_is_kept_while_the_next_variant_loads(
        self, release: Path, broken: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Weights:
            """What an engine has on the device."""

        alive: list[weakref.ref[Weights]] = []
        kept: list[bool] = []
        make, prepare = Toolkit._engine, onnxruntime_engine.prepare

        def engine(toolkit: Toolkit) -> object:
            made = make(toolkit)
            made.weights = Weights()
            alive.append(weakref.ref(made.weights))
            return made

        def prepared() -> None:
            kept.append(any(weights() for weights in alive))
            prepare()

        monkeypatch.setattr(Toolkit, "_engine", engine)
        monkeypatch.setattr(onnxruntime_engine, "prepare", prepared)
        gc.disable()
        try:
            assert distilforge.open(release).variant.name == CPU
        finally:
            gc.enable()
        assert bool(alive) == (broken != "cudaGetDevice")
        assert kept == [False]

    @pytest.mark.parametrize("how", ["variant", "providers"])
    def test_what_was_asked_for_is_not_replaced(self, release: Path, broken: str, how: str) -> None:
        asked = {"variant": RTX} if how == "variant" else {"providers": ("cuda:0",)}
        with pytest.raises(
            UnavailableError, match=r"does not run 'tensorrt-rtx:fp16'|cannot make an execution context"
        ):
            distilforge.open(release, **asked)  # type: ignore[arg-type]

    def test_without_another_variant_the_error_has_the_reason(
        self, tmp_path: Path, release: Path, broken: str
    ) -> None:
        manifest = read_manifest(release)
        write_manifest(release, replace(manifest, variants=manifest.variants[:1]))
        with pytest.raises(UnavailableError, match=rf"(?s)no variant .*{RTX} cannot run here"):
            distilforge.open(release)


def test_an_engine_that_the_toolkit_refuses(release: Path, toolkit: Toolkit) -> None:
    toolkit.validity = (Validity.INVALID, 2)
    assert distilforge.open(release).variant.name == CPU
    with pytest.raises(UnavailableError, match="cannot run on this machine: unsupported cc"):
        distilforge.open(release, variant=RTX)


def test_arrays_on_the_device_stay_there(release: Path, cuda: FakeCuda) -> None:
    session = distilforge.open(release)
    engine = session._loaded.engine
    assert isinstance(engine, TensorRTEngine)
    ids = np.full((2, 8), 3)
    feeds = {"input_ids": engine.to_device(ids), "attention_mask": engine.to_device(np.ones_like(ids))}
    logits = session.run_on_device(feeds)["logits"]
    np.testing.assert_array_equal(engine.to_host(logits), [[24, 8, 0]] * 2)
    with pytest.raises(InputError, match="there is no input 'token_type_ids'"):
        session.run_on_device({**feeds, "token_type_ids": feeds["input_ids"]})
    with pytest.raises(UnavailableError, match=f"'{CPU}' does not take arrays on a device"):
        distilforge.open(release, variant=CPU).run_on_device(feeds)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_ids": (2, 9)}, "the axis 'sequence' has size 8 in 'attention_mask' and 9 in 'input_ids'"),
        ({"attention_mask": (3, 8)}, "the axis 'batch' has size 3 in 'attention_mask' and 2 in 'input_ids'"),
        ({"input_ids": (16,)}, "'input_ids' has 1 axes; it must have 2 (batch, sequence)"),
        (
            {"input_ids": (2, 65), "attention_mask": (2, 65)},
            "the axis 'sequence' of the input 'input_ids' has size 65; this release takes 2 to 64",
        ),
    ],
)
def test_shapes_on_the_device_that_the_release_does_not_take(
    release: Path, changes: dict[str, tuple[int, ...]], message: str
) -> None:
    session = distilforge.open(release)
    engine = session._loaded.engine
    assert isinstance(engine, TensorRTEngine)
    shapes = {"input_ids": (2, 8), "attention_mask": (2, 8), **changes}
    feeds = {name: engine.to_device(np.ones(shape, dtype=np.int64)) for name, shape in shapes.items()}
    with pytest.raises(InputError, match=re.escape(message)):
        session.run_on_device(feeds)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("Runtime", "TypeError: no runtime"),
        ("create_runtime_config", "cannot make a configuration for rtx-fp16.engine"),
    ],
)
def test_a_toolkit_that_fails_in_its_own_way(
    release: Path,
    toolkit: Toolkit,
    broken: str,
    reason: str,
    gpus: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if broken == "Runtime":

        def refuse(self: Toolkit, log: object) -> None:
            raise TypeError("no runtime")

        gpus.setattr(Toolkit, "Runtime", refuse)
    else:
        toolkit.config = None  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING, logger="distilforge"):
        assert distilforge.open(release).variant.name == CPU
    assert reason in caplog.text


def test_an_empty_engine_is_not_loaded(release: Path, toolkit: Toolkit) -> None:
    (release / read_manifest(release).variants[0].files[0]).write_bytes(b"")
    record_again(release)
    with pytest.raises(UnavailableError, match=r"does not run 'tensorrt-rtx:fp16': ValueError: .*empty file"):
        distilforge.open(release, variant=RTX)
    assert distilforge.open(release).variant.name == CPU


def test_kernels_that_cannot_be_read_are_compiled_again(
    release: Path, gpus: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Cache, blob: bytes) -> bool:
        raise RuntimeError("not kernels")

    check(distilforge.open(release))
    gpus.setattr(Cache, "deserialize", refuse)
    with caplog.at_level(logging.WARNING, logger="distilforge"):
        check(distilforge.open(release))
    assert "cannot be read: not kernels" in caplog.text


def test_a_forked_process_leaves_the_device_to_its_parent(release: Path, cuda: FakeCuda) -> None:
    session = distilforge.open(release)
    check(session)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        calls = len(cuda.calls)
        try:
            check(session)
            said = "it answered"
        except EngineError as error:
            said = error.message
        session._loaded.engine.close()  # type: ignore[attr-defined]
        os.write(write, f"{said}|{len(cuda.calls) - calls}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    said, calls = os.read(read, 1000).decode().split("|")
    os.close(read)
    os.close(write)
    assert f"was opened in process {os.getpid()}, from which this one was forked" in said
    assert calls == "0"
    check(session)


def test_a_device_that_is_lost_midway(release: Path, cuda: FakeCuda) -> None:
    session = distilforge.open(release)
    check(session)
    cuda.fails = lambda name, number: True
    ids = np.full((2, 8), 3)
    with pytest.raises(EngineError, match="CUDA's cudaGetDevice failed: cudaErrorIllegalAddress"):
        session.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    session._loaded.engine.close()  # type: ignore[attr-defined]
