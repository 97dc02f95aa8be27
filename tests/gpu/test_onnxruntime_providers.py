"""ONNX Runtime's providers for NVIDIA GPUs, against its CPU provider."""

from dataclasses import replace
from pathlib import Path

import distilforge
import numpy as np
import onnxruntime
import pytest
import torch
from distilforge.backends import backends
from distilforge.cuda.driver import survey

from model_src.checkpoint import load_checkpoint
from tests.device_release import HEAD, context_release, wide
from tests.runtime_release import copied, read_manifest, write_manifest

DRIVER = survey()
pytestmark = pytest.mark.skipif(isinstance(DRIVER, str), reason=f"{DRIVER}")


@pytest.mark.parametrize("target", ["onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-rtx"])
def test_answers(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    release = copied(HEAD, tmp_path / "release")
    manifest = read_manifest(release)
    cpu = manifest.variants[0]
    device = replace(cpu, target=target)
    write_manifest(release, replace(manifest, variants=(device, cpu)))
    backend = backends.get(target)
    assert backend is not None
    obstacle = backend.obstacle(device)
    if obstacle is not None:
        pytest.skip(f"onnxruntime {onnxruntime.__version__}: {obstacle}")
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
