"""The targets with engines: the graph that they hand to their compiler."""

from pathlib import Path

import onnxruntime
import pytest
from distilforge.backends import backends

from pipeline import targets
from pipeline.engines.flavours import FLAVOURS
from pipeline.errors import MissingError
from pipeline.graph.file import load
from pipeline.store.versions import installed
from tests.graphs import exported


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("tensorrt-rtx", "rtx-fp32.onnx"),
        ("tensorrt", "trt-fp32.onnx"),
        ("onnxruntime-rtx", "onnxruntime-rtx-fp32.onnx"),
        ("onnxruntime-tensorrt", "onnxruntime-trt-fp32.onnx"),
    ],
)
def test_the_graph_is_written_for_the_compiler_and_runs_in_onnxruntime(
    target: str, file: str, tmp_path: Path
) -> None:
    found = targets.targets.find(target)
    graph = exported()
    assert targets.compile_graph(found, graph, "fp32", tmp_path) == (f"tensorrt/{file}",)
    assert load(tmp_path / "tensorrt" / file).graph.num_nodes() == graph.graph.num_nodes()
    onnxruntime.InferenceSession(str(tmp_path / "tensorrt" / file), providers=["CPUExecutionProvider"])


def test_a_target_and_its_flavour_have_one_name() -> None:
    for name, flavour in FLAVOURS.items():
        assert targets.targets.find(name).engine is flavour
    assert targets.targets.find("onnxruntime-cpu").engine is None


def test_the_runtime_asks_the_provider_that_the_engine_is_for() -> None:
    for name, flavour in FLAVOURS.items():
        backend = backends.get(name)
        assert backend is not None
        assert getattr(backend, "provider", "") == flavour.provider


@pytest.mark.parametrize("target", ["tensorrt", "onnxruntime-tensorrt"])
@pytest.mark.skipif(installed("tensorrt") is not None, reason="TensorRT is installed")
def test_an_absent_toolkit_is_an_error_with_its_extra(target: str) -> None:
    with pytest.raises(MissingError) as caught:
        targets.find(target, "fp16")
    assert caught.value.hint == "pip install 'distilforge-pipeline[tensorrt]'"
