"""An engine in the benchmark, called as applications call it; ONNX Runtime stands in for TensorRT."""

from pathlib import Path

import numpy as np
import pytest
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu
from distilforge.timing.process import Worker
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Subject

from bench.gpu.engine_runner import EngineRunner
from bench.models import release_folder
from bench.models.shapes import feeds
from tests.fake_gpu.subject import open_engine
from tests.runtime_release import LABELS, published, read_manifest

HEAD = "sequence_classification"


def test_an_engine_is_called_as_applications_call_it(tmp_path: Path) -> None:
    release = published(HEAD, LABELS[HEAD]).release
    release_folder.adopt(release, tmp_path)
    (variant,) = read_manifest(release).variants
    compiled = tmp_path / release_folder.COMPILED
    (compiled / "variant.json").write_text(variant.to_json(), encoding="utf-8")
    assert release_folder.target_of(compiled) == "onnxruntime-cpu"
    engine = OnnxRuntimeCpu().load(variant, compiled, manifest=None, providers=None, threads=1)
    runner = EngineRunner(engine, copies=True)
    ids, mask = feeds(Shape(batch=2, tokens=16))
    # The test's vocabulary is smaller
    runner.take(ids % 50, mask)
    assert len(runner.seconds(3)) == 3
    facts = runner.facts()
    assert np.array(facts["logits"]).shape == (2, len(LABELS[HEAD]))
    assert facts["device_bytes"] is None


def test_a_shape_that_an_engine_does_not_take_costs_that_shape_alone() -> None:
    subject = Subject(name="an engine", opener="tests.fake_gpu.subject:open_engine")
    shapes = [
        Shape(batch=batch, tokens=tokens) for batch, tokens in ((2, 16), (128, 16), (2, 64), (2, 512), (8, 8))
    ]
    with Worker(subject) as worker:
        replies = [worker.run(shape, settle=True, warm_ups=0, runs=2) for shape in shapes]
    assert [len(reply.seconds) for reply in replies] == [2, 0, 2, 0, 2]
    for reply in (replies[1], replies[3]):
        assert "EngineError: the engine does not take a batch of input_ids" in reply.refusal


@pytest.mark.parametrize("copies", [True, False])
def test_an_engine_answers_alike_with_and_without_copies(copies: bool) -> None:
    runner = open_engine(copies=copies)
    ids, mask = feeds(Shape(batch=2, tokens=16))
    runner.take(ids % 9, mask)
    # A graph is captured in the second run and launched in the third
    for _ in range(3):
        runner.run()
    np.testing.assert_array_equal(runner.logits(), np.stack([(ids % 9).sum(1), [16, 16], [0, 0]], axis=1))
