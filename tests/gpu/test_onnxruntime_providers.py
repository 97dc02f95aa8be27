"""ONNX Runtime's providers for NVIDIA GPUs, against its CPU provider."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import distilforge
import numpy as np
import onnxruntime
import pytest
import torch
from distilforge.backends import backends
from distilforge.cuda.driver import survey
from distilforge.manifest import Variant
from distilforge.onnxruntime.cuda_graphs import CudaGraphs
from distilforge.onnxruntime.engine import OnnxRuntimeEngine

from model_src.checkpoint import load_checkpoint
from tests.device_release import HEAD, context_release, wide
from tests.runtime_release import copied, read_manifest, write_manifest

DRIVER = survey()
pytestmark = pytest.mark.skipif(isinstance(DRIVER, str), reason=f"{DRIVER}")


GRAPHS = {"provider.enable_cuda_graph": "1"}


def with_device_variant(folder: Path, target: str, **changes: object) -> tuple[Path, Variant]:
    """A release whose first variant is for `target`, and its variant for the CPU; skips where `target` cannot run."""
    release = copied(HEAD, folder / "release")
    manifest = read_manifest(release)
    cpu = manifest.variants[0]
    device = replace(cpu, target=target, **changes)  # type: ignore[arg-type]
    write_manifest(release, replace(manifest, variants=(device, cpu)))
    backend = backends.get(target)
    assert backend is not None
    obstacle = backend.obstacle(device)
    if obstacle is not None:
        pytest.skip(f"onnxruntime {onnxruntime.__version__}: {obstacle}")
    return release, cpu


@pytest.mark.parametrize("target", ["onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-rtx"])
def test_answers(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    release, cpu = with_device_variant(tmp_path, target)
    session = distilforge.open(release)
    assert session.variant.target == target
    assert session.providers[0] != "CPUExecutionProvider"
    expected = distilforge.open(release, variant=cpu.name)
    for texts in (["good movie"], ["the hotel room was bad", "a"] * 4):
        feeds = session.encode(texts)
        # The CUDA provider uses TF32 by default, which has 11 bits
        np.testing.assert_allclose(
            session.run(feeds)["logits"], expected.run(feeds)["logits"], atol=2e-2, rtol=2e-2
        )


@pytest.mark.parametrize("target", ["onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-rtx"])
def test_the_last_device_by_its_name(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    release, cpu = with_device_variant(tmp_path, target)
    assert not isinstance(DRIVER, str)
    session = distilforge.open(release, providers=[DRIVER.devices[-1].provider])
    assert session.variant.target == target
    expected = distilforge.open(release, variant=cpu.name)
    feeds = session.encode(["good movie"])
    np.testing.assert_allclose(
        session.run(feeds)["logits"], expected.run(feeds)["logits"], atol=2e-2, rtol=2e-2
    )


def test_cuda_graphs(tmp_path: Path) -> None:
    """Batches of seven shapes in turns, so that graphs are captured and replayed between others."""
    release, cpu = with_device_variant(tmp_path, "onnxruntime-cuda", session=GRAPHS)
    session, expected = distilforge.open(release), distilforge.open(release, variant=cpu.name)
    assert session.variant.target == "onnxruntime-cuda"
    words = "the hotel room was not very good and the food was slow".split()

    def check(seed: int) -> None:
        random = np.random.default_rng(seed)
        length, batch = 1 + seed % 7, 1 + seed % 3
        feeds = session.encode([" ".join(random.choice(words, length)) for _ in range(batch)])
        np.testing.assert_allclose(
            session.run(feeds)["logits"], expected.run(feeds)["logits"], atol=2e-2, rtol=2e-2
        )

    for seed in range(100):
        check(seed)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(check, range(100, 200)))
    graphs = session._loaded.engine
    assert isinstance(graphs, OnnxRuntimeEngine)
    assert isinstance(graphs.session, CudaGraphs)
    # Those of this thread, and of the pool's
    assert len(graphs.session._bound) > 21


def test_two_sessions_capture_beside_each_other(tmp_path: Path) -> None:
    """While one captures, the other may not allocate on the device: it has to wait."""
    release, cpu = with_device_variant(tmp_path, "onnxruntime-cuda", session=GRAPHS)
    sessions, expected = (
        [distilforge.open(release) for _ in range(2)],
        distilforge.open(release, variant=cpu.name),
    )

    def check(number: int) -> None:
        session = sessions[number % 2]
        feeds = session.encode(["the hotel room was good"[: 5 + number // 6]] * (1 + number % 3))
        np.testing.assert_allclose(
            session.run(feeds)["logits"], expected.run(feeds)["logits"], atol=2e-2, rtol=2e-2
        )

    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(check, range(300)))
    for session in sessions:
        engine = session._loaded.engine
        assert isinstance(engine, OnnxRuntimeEngine)
        assert isinstance(engine.session, CudaGraphs)
        # None has given up
        assert engine.session._bound


# Relative to the answers' root mean square, on a model of two layers with random weights
NEAR = {"fp32": 1e-3, "fp16": 0.01}


@pytest.mark.parametrize("precision", NEAR)
@pytest.mark.parametrize("target", ["onnxruntime-tensorrt", "onnxruntime-rtx"])
def test_an_engine_answers_as_eager_does(
    tmp_path: Path, target: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    release = context_release(tmp_path / "release", target, precision)
    variant = read_manifest(release).variants[0]
    backend = backends.get(target)
    assert backend is not None
    obstacle = backend.obstacle(variant)
    if obstacle is not None:
        pytest.skip(f"onnxruntime {onnxruntime.__version__}: {obstacle}")
    session = distilforge.open(release, variant=variant.name)
    assert session.providers[0] != "CPUExecutionProvider"
    model = load_checkpoint(wide().checkpoint, attention="eager").model.eval()
    for texts in (["good movie"], ["the hotel room was bad", "a"] * 4):
        feeds = session.encode(texts)
        with torch.no_grad():
            (expected,) = model(*(torch.from_numpy(feeds[name]) for name in ("input_ids", "attention_mask")))
        wanted = expected.numpy()
        error = np.abs(session.run(feeds)["logits"] - wanted).max()
        assert error < NEAR[precision] * np.sqrt(np.mean(wanted**2))
