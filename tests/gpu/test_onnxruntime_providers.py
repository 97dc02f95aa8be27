"""ONNX Runtime's providers for NVIDIA GPUs, against its CPU provider."""

from dataclasses import replace
from pathlib import Path

import distilforge
import numpy as np
import onnxruntime
import pytest
from distilforge.backends import backends
from distilforge.cuda.driver import survey

from tests.device_release import HEAD
from tests.runtime_release import copied, read_manifest, write_manifest

DRIVER = survey()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(isinstance(DRIVER, str), reason=f"{DRIVER}")]


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
        # TF32 keeps 11 bits of the factors, which the CUDA provider uses unless it is told otherwise
        np.testing.assert_allclose(
            session.run(feeds)["logits"], expected.run(feeds)["logits"], atol=2e-2, rtol=2e-2
        )
