"""The targets with engines: their graphs, compilers and plans."""

import tomllib
from pathlib import Path

import onnxruntime
import pytest
from distilforge.backends import backends
from distilforge.tensorrt.engine_runtime import EngineRuntime
from packaging.requirements import Requirement

from pipeline import targets
from pipeline.errors import MissingError, UsageError
from pipeline.graph.file import load
from pipeline.store.versions import installed
from tests.graphs import exported

ROOT = Path(__file__).parents[4]
PRESETS = ROOT / "pipeline" / "recipe" / "presets"


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


def test_a_release_says_that_int8_is_not_documented_for_activations() -> None:
    for name in ("tensorrt-rtx", "onnxruntime-rtx"):
        assert "8 bits for weights alone" in targets.find_compiler(name).notes["int8"]
    assert "int8" not in targets.find_compiler("tensorrt").notes


@pytest.mark.parametrize("project", ["pyproject.toml", "runtime/pyproject.toml"])
def test_the_extra_asks_for_a_tensorrt_whose_parser_takes_attention(project: str) -> None:
    """NVIDIA, release notes of TensorRT 10.14: the parser takes ONNX's Attention, which fp16, int8 and fp8 have."""
    extras = tomllib.loads((ROOT / project).read_text())["project"]["optional-dependencies"]
    (text,) = [text for text in extras["tensorrt"] if text.startswith("tensorrt")]
    specifier = Requirement(text).specifier
    assert not specifier.contains("10.13.0.35")
    assert specifier.contains("10.14.1.48")


def test_targets_can_take_the_plans_of_another() -> None:
    assert targets.plans_of("onnxruntime-tensorrt") == "tensorrt-rtx"


@pytest.mark.parametrize("target", targets.targets.names())
def test_every_target_has_a_file_of_plans_or_takes_those_of_one_that_has(target: str) -> None:
    source = targets.plans_of(target)
    assert targets.plans_of(source) == source
    file = PRESETS / f"{source}.toml"
    assert file.is_file(), f"write {file}, or take another target's plans with plans="


def test_every_file_of_plans_is_some_targets() -> None:
    sources = {targets.plans_of(name) for name in targets.targets.names()}
    assert {path.stem for path in PRESETS.glob("*.toml")} <= sources


@pytest.mark.parametrize("target", ["tensorrt", "onnxruntime-tensorrt"])
@pytest.mark.skipif(installed("tensorrt") is not None, reason="TensorRT is installed")
def test_an_absent_toolkit_is_an_error_with_its_extra(target: str) -> None:
    with pytest.raises(MissingError) as caught:
        targets.find(target, "fp16")
    assert caught.value.hint == "pip install 'distilforge-pipeline[tensorrt]'"
