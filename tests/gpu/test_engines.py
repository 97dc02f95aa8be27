"""Engines that are built, loaded and run on this machine's GPU, against ONNX Runtime on the CPU.

Oracle: ONNX Runtime's CPU provider on the exact graph that the compiler was given.
"""

import importlib.util
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import distilforge
import numpy as np
import numpy.typing as npt
import pytest
import torch
from distilforge.cuda.capabilities import runs_on
from distilforge.cuda.driver import Driver, survey
from distilforge.cuda.runtime import CudaPython
from distilforge.errors import EngineError, UnavailableError
from distilforge.manifest import Manifest
from distilforge.onnxruntime.engine import CPU, OnnxRuntimeEngine, engine_of
from distilforge.tensorrt import lanes
from distilforge.tensorrt.engine import TensorRTEngine
from distilforge.tensorrt.kernels import KernelCache

from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests.device_release import compiled, engine, engine_release, graph
from tests.graphs import session as on_cpu
from tests.runtime_release import read_manifest, record_again, write_manifest

DRIVER = survey()
TARGETS = ("tensorrt-rtx", "tensorrt")
# fp16 has 11 bits; the logits of these models are about 1, and are rounded about twelve times
FP16 = {"rtol": 2e-2, "atol": 2e-2}
# TensorRT-RTX and TensorRT add in another order than the CPU; TF32 is off
FP32 = {"rtol": 1e-3, "atol": 1e-3}
TOLERANCES: Mapping[str, Mapping[str, float]] = {"fp16": FP16, "fp16_unpadded": FP16, "fp32": FP32}

pytestmark = [
    pytest.mark.skipif(isinstance(DRIVER, str), reason=f"{DRIVER}"),
    pytest.mark.skipif(
        not importlib.util.find_spec("cuda") or not importlib.util.find_spec("cuda.bindings"),
        reason="cuda-bindings is not installed",
    ),
]

Feeds = dict[str, npt.NDArray[np.int64]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def feeds(batch: int, tokens: int, seed: int = 0) -> Feeds:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, tokens + 1, batch)
    return {
        "input_ids": random.integers(0, 60, (batch, tokens)),
        "attention_mask": (np.arange(tokens) < lengths[:, None]).astype(np.int64),
    }


def built(folder: Path, target: str, precision: str = "fp16", **session: str) -> Path:
    """A release with an engine for this machine; skips the test where it cannot be compiled for its devices."""
    assert isinstance(DRIVER, Driver)
    named = compiled().capabilities
    own = tuple(f"{major}.{minor}" for major, minor in (device.capability for device in DRIVER.devices))
    if target == "tensorrt-rtx" and not any(runs_on(named, device.capability) for device in DRIVER.devices):
        pytest.skip(f"TensorRT-RTX compiles for {', '.join(named)}; this machine has {', '.join(own)}")
    release = engine_release(
        folder, target, precision, capabilities=named if target == "tensorrt-rtx" else own[:1]
    )
    change(release, **session)
    return release


def change(release: Path, **session: str) -> None:
    """Set `session` in the engine's variant."""
    manifest: Manifest = read_manifest(release)
    first, *rest = manifest.variants
    write_manifest(release, replace(manifest, variants=(replace(first, session=session), *rest)))


def opened(release: Path, target: str, precision: str = "fp16") -> distilforge.Session:
    session = distilforge.open(release, variant=f"{target}:{precision}")
    assert session.providers[0].startswith("cuda:")
    return session


@cache
def oracle(precision: str) -> OnnxRuntimeEngine:
    return engine_of(on_cpu(graph(precision)), [CPU])


def check(session: distilforge.Session, fed: Feeds, precision: str = "fp16") -> None:
    logits = session.run(fed)["logits"]
    expected = oracle(precision).run(fed)["logits"]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, **TOLERANCES[precision])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", TOLERANCES)
def test_answers(tmp_path: Path, target: str, precision: str) -> None:
    session = opened(built(tmp_path / "release", target, precision), target, precision)
    # Both profiles and their ends, with batches that grow and shrink
    for number, (batch, tokens) in enumerate(((1, 2), (8, 16), (8, 17), (3, 40), (8, 64), (1, 16))):
        check(session, feeds(batch, tokens, number), precision)


def test_the_toolkit_agrees_with_the_capabilities_that_releases_promise() -> None:
    """NVIDIA documents 8.0, 8.6, 8.9, 12.0 and later for an engine for which none is named; an H100 (9.0) refused it.

    Where this fails, the device decides: add its capability to `default_capabilities` in
    pipeline/targets/tensorrt_rtx.py, or take it out. What a variant needs of a machine follows from there.
    """
    toolkit = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    assert isinstance(DRIVER, Driver)
    with CudaPython().on(DRIVER.devices[0].index):
        runtime = toolkit.Runtime(toolkit.Logger(toolkit.Logger.ERROR))
        validity, diagnostics = runtime.get_engine_validity(engine("tensorrt-rtx", "fp16"))
    promised = runs_on(TENSORRT_RTX.default_capabilities, DRIVER.devices[0].capability)
    assert (validity != toolkit.EngineValidity.INVALID) == promised, (
        f"{DRIVER.devices[0]}: {validity}, diagnostics {diagnostics:#x}"
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", ["fp16", "fp16_unpadded"])
def test_arrays_on_the_device(tmp_path: Path, target: str, precision: str) -> None:
    session = opened(built(tmp_path / "release", target, precision), target, precision)
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    for batch, tokens in ((2, 8), (2, 8), (2, 8), (3, 40)):
        fed = feeds(batch, tokens)
        outputs = session.run_on_device({name: torch.from_numpy(array).cuda() for name, array in fed.items()})
        logits = torch.utils.dlpack.from_dlpack(outputs["logits"]).float().cpu().numpy()
        np.testing.assert_allclose(logits, oracle(precision).run(fed)["logits"], **FP16)


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_chosen_before_the_cpu(tmp_path: Path, target: str) -> None:
    assert distilforge.open(built(tmp_path / "release", target)).variant.target == target


@pytest.mark.parametrize("target", TARGETS)
def test_texts(tmp_path: Path, target: str) -> None:
    session = distilforge.open(built(tmp_path / "release", target), head=distilforge.SequenceClassification)
    cpu = distilforge.open(
        tmp_path / "release", variant="onnxruntime-cpu:fp32", head=distilforge.SequenceClassification
    )
    texts = ["good movie", "the hotel room was not very good and the food was slow", "a"] * 7
    np.testing.assert_allclose(
        [result.score for result in session(texts)], [result.score for result in cpu(texts)], atol=2e-2
    )


@pytest.mark.parametrize("target", TARGETS)
def test_threads(tmp_path: Path, target: str) -> None:
    session = opened(built(tmp_path / "release", target, contexts="3", cuda_graphs="2"), target)

    def work(seed: int) -> None:
        check(session, feeds(1 + seed % 8, 2 + 9 * (seed % 7), seed))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(work, range(64)))


@pytest.mark.parametrize("target", TARGETS)
def test_cuda_graphs(tmp_path: Path, target: str) -> None:
    session = opened(built(tmp_path / "release", target, contexts="1", cuda_graphs="2"), target)
    for number in range(12):
        check(session, feeds(2, 8 + 10 * (number % 3), number))
    for number in range(4):
        check(session, feeds(2, 8, number))


@pytest.mark.parametrize("target", TARGETS)
def test_cuda_graphs_are_really_kept(tmp_path: Path, target: str) -> None:
    if target == "tensorrt-rtx":
        pytest.skip("TensorRT-RTX keeps its graphs to itself")
    session = opened(built(tmp_path / "release", target, contexts="1", cuda_graphs="2"), target)
    for _ in range(3):
        check(session, feeds(2, 8))
    engine = session._loaded.engine
    assert isinstance(engine, TensorRTEngine)
    with engine._lanes.borrow() as lane:
        assert len(lane._graphs) == 1


def test_kernels_are_kept_and_found_again(tmp_path: Path) -> None:
    release = built(tmp_path / "release", "tensorrt-rtx")
    session = opened(release, "tensorrt-rtx")
    check(session, feeds(2, 8))
    kept = list((tmp_path / "cache" / "distilforge" / "tensorrt-rtx").glob("*.cache"))
    assert len(kept) == 1
    were_loaded: list[bool] = []
    real = KernelCache.load

    def load(cache: KernelCache) -> bool:
        were_loaded.append(real(cache))
        return were_loaded[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KernelCache, "load", load)
        check(opened(release, "tensorrt-rtx"), feeds(2, 8))
    assert were_loaded == [True]


@pytest.mark.parametrize("target", TARGETS)
def test_nan_is_an_error(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(built(tmp_path / "release", target), target)
    engine = session._loaded.engine
    assert isinstance(engine, TensorRTEngine)
    real = lanes.Lane.run

    def spoiled(lane: lanes.Lane, *arguments: object) -> dict[str, npt.NDArray[np.generic]]:
        outputs = real(lane, *arguments)  # type: ignore[arg-type]
        outputs["logits"][0, 0] = np.nan
        return outputs

    monkeypatch.setattr(lanes.Lane, "run", spoiled)
    with pytest.raises(
        EngineError, match=r"'logits' of .* holds 1 NaN and 0 infinite of 6 values, in 1 of 2 rows"
    ):
        session.run(feeds(2, 8))


@pytest.mark.parametrize("target", TARGETS)
def test_another_capability_is_refused_before_loading(tmp_path: Path, target: str) -> None:
    release = built(tmp_path / "release", target)
    manifest = read_manifest(release)
    first, *rest = manifest.variants
    assert first.compiled is not None
    other = replace(first, compiled=replace(first.compiled, capabilities=("5.0",)))
    write_manifest(release, replace(manifest, variants=(other, *rest)))
    with pytest.raises(
        UnavailableError,
        match=r"(?s)needs an NVIDIA GPU of compute capability 5\.0, and this machine has .*onnxruntime-cpu:fp32",
    ):
        distilforge.open(release, variant=first.name)


@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_engine(tmp_path: Path, target: str) -> None:
    release = built(tmp_path / "release", target)
    path = release / read_manifest(release).variants[0].files[0]
    path.write_bytes(b"\0" * path.stat().st_size)
    record_again(release)
    with pytest.raises(UnavailableError, match=r"cannot (run|load)"):
        distilforge.open(release, variant=f"{target}:fp16")
