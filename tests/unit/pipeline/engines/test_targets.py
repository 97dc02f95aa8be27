"""The targets with engines: their graphs, compilers and plans."""

from pathlib import Path

import onnxruntime
import pytest
from distilforge.backends import backends
from distilforge.tensorrt.engine_runtime import EngineRuntime

from pipeline import targets
from pipeline.errors import MissingError, UsageError
from pipeline.graph.file import load
from pipeline.store.versions import installed
from tests.graphs import exported

PRESETS = Path(__file__).parents[4] / "pipeline" / "recipe" / "presets"


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
    graph = exported()
    assert targets.compile_graph(targets.targets.find(target), graph, "fp32", tmp_path) == (
        f"tensorrt/{file}",
    )
    assert load(tmp_path / "tensorrt" / file).graph.num_nodes() == graph.graph.num_nodes()
    onnxruntime.InferenceSession(str(tmp_path / "tensorrt" / file), providers=["CPUExecutionProvider"])


def test_targets_with_engines_are_known_by_their_compilers() -> None:
    backend_runtimes = {
        name: getattr(backends.get(name), "runtime", None) for name in targets.targets.names()
    }
    assert set(targets.compilers()) == {
        name for name, runtime in backend_runtimes.items() if runtime is not None
    }
    assert "tensorrt-rtx" in targets.compilers()
    with pytest.raises(
        UsageError, match=r"unknown target with engines 'tensorrt-rt'\D*did you mean 'tensorrt-rtx'"
    ):
        targets.find_compiler("tensorrt-rt")
    with pytest.raises(UsageError, match="unknown target with engines 'onnxruntime-cpu'"):
        targets.find_compiler("onnxruntime-cpu")


def test_the_runtime_and_the_pipeline_name_the_same_providers_and_packages() -> None:
    for name, compiler in targets.compilers().items():
        backend = backends.get(name)
        assert getattr(backend, "provider", "") == compiler.provider
        runtime = getattr(backend, "runtime", None)
        assert isinstance(runtime, EngineRuntime)
        assert (runtime.name, runtime.module, runtime.package) == (
            compiler.name,
            compiler.module,
            compiler.package,
        )


def test_targets_can_take_the_plans_of_another() -> None:
    assert targets.plans_of("onnxruntime-tensorrt") == "tensorrt-rtx"
    # A target takes its plans from one that has a file of its own, and every file is some target's
    sources = {name: targets.plans_of(name) for name in targets.targets.names()}
    assert all(sources[source] == source for source in sources.values())
    assert {path.stem for path in PRESETS.glob("*.toml")} == set(sources.values())


@pytest.mark.parametrize("target", ["tensorrt", "onnxruntime-tensorrt"])
@pytest.mark.skipif(installed("tensorrt") is not None, reason="TensorRT is installed")
def test_an_absent_toolkit_is_an_error_with_its_extra(target: str) -> None:
    with pytest.raises(MissingError) as caught:
        targets.find(target, "fp16")
    assert caught.value.hint == "pip install 'distilforge-pipeline[tensorrt]'"
