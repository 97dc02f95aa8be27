"""An engine in the benchmark, called as applications call it; ONNX Runtime stands in for TensorRT."""

from pathlib import Path

import numpy as np
from distilforge.timing.shape import Shape

from bench.gpu.engine_runner import EngineRunner
from bench.models import release_folder
from bench.models.shapes import feeds
from tests.runtime_release import LABELS, published, read_manifest

HEAD = "sequence_classification"


def test_an_engine_is_called_as_applications_call_it(tmp_path: Path) -> None:
    release = published(HEAD, LABELS[HEAD]).release
    release_folder.adopt(release, tmp_path)
    (variant,) = read_manifest(release).variants
    compiled = tmp_path / release_folder.COMPILED
    (compiled / "variant.json").write_text(variant.to_json(), encoding="utf-8")
    assert release_folder.target_of(compiled) == "onnxruntime-cpu"
    runner = EngineRunner(tmp_path)
    ids, mask = feeds(Shape(batch=2, tokens=16))
    # The test's vocabulary is smaller
    runner.take(ids % 50, mask)
    assert len(runner.seconds(3)) == 3
    facts = runner.facts()
    assert np.array(facts["logits"]).shape == (2, len(LABELS[HEAD]))
    assert facts["device_bytes"] is None
