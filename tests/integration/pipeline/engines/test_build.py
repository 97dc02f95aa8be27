"""Engines of tiny models, which TensorRT-RTX really compiles."""

import subprocess
from pathlib import Path

import onnx_ir
import pytest
from distilforge.manifest import CompiledEngine

from model_src import heads
from pipeline.engines import build as build_module
from pipeline.engines.build import Progress, Watch, build
from pipeline.engines.job import Job, Outcome
from pipeline.engines.options import EngineOptions
from pipeline.engines.worker import DECOMPOSED
from pipeline.errors import StageError
from pipeline.graph.file import load, save
from pipeline.passes import base, registry
from pipeline.targets.tensorrt_rtx import TENSORRT_RTX
from tests import device_release
from tests.engine_graphs import axes, graph_file
from tests.graphs import LAYERS

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no wheel for this machine")

HEAD = "sequence_classification"


def compiled(graph: Path, output: Path, head: str = HEAD, **options: object) -> CompiledEngine:
    chosen = EngineOptions(**options)  # type: ignore[arg-type]
    return build(graph, TENSORRT_RTX, chosen, axes(head), output, progress=lambda text: None)


def with_attention(graph: Path, folder: Path) -> Path:
    """`graph`, which is in fp32, with ONNX's Attention, for which TensorRT-RTX has no kernel in fp32."""
    loaded = load(graph)
    base.apply(loaded, [registry.find("attention_onnx")])
    save(loaded, folder / "attention.onnx")
    return folder / "attention.onnx"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "fp16_unpadded", "int8", "fp8"])
@pytest.mark.parametrize("head", heads.names())
def test_every_head_compiles_in_every_precision(head: str, precision: str, tmp_path: Path) -> None:
    engine = compiled(graph_file(head, precision), tmp_path / "x.engine", head, detailed=True)
    assert engine.bytes == (tmp_path / "x.engine").stat().st_size
    assert engine.precisions[precision.partition("_")[0]] > 0
    assert engine.activation_bytes
    assert engine.profiles == (axes(head),)


def test_the_file_is_a_plain_serialized_engine(tmp_path: Path) -> None:
    engine = compiled(graph_file(HEAD, "fp16"), tmp_path / "x.engine")
    content = (tmp_path / "x.engine").read_bytes()
    # TensorRT's own header: its tag, and at byte 16 the length of the file
    assert content[:4] == b"vtrt"
    assert int.from_bytes(content[16:24], "little") == len(content) == engine.bytes


def test_the_engines_of_tests_on_devices_are_compiled_as_those_of_releases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs: list[Job] = []
    run = build_module._run

    def record(job: Job, progress: Progress, watch: Watch) -> Outcome:
        jobs.append(job)
        return run(job, progress, watch)

    monkeypatch.setattr(build_module, "_run", record)
    content = device_release.engine.__wrapped__("tensorrt-rtx", "fp32")
    assert content[:4] == b"vtrt"
    ((is_tf32, sizes),) = [
        (job.options.tf32, [profile["sequence"] for profile in job.profiles]) for job in jobs
    ]
    assert not is_tf32
    assert sizes == [(2, 16, 16), (17, 64, 64)]


def test_attention_is_one_kernel_in_every_layer() -> None:
    operators = [node.op_type for node in load(graph_file(HEAD, "fp16")).graph]
    assert operators.count("Attention") == LAYERS


def test_the_manifest_entry_has_the_options_and_the_warnings(tmp_path: Path) -> None:
    engine = compiled(
        graph_file(HEAD, "fp16"), tmp_path / "x.engine", capabilities=("8.6", "12.0"), buckets=(8,), tf32=True
    )
    assert (engine.flavour, engine.capabilities) == ("TensorRT-RTX", ("8.6", "12.0"))
    assert engine.options == {"capabilities": "8.6,12.0", "buckets": "8", "tf32": "true"}
    assert [profile["sequence"].high for profile in engine.profiles] == [8, 24]
    assert any("input_ids" in text for text in engine.warnings)
    assert len(set(engine.warnings)) == len(engine.warnings)


def test_without_capabilities_an_engine_is_for_those_that_nvidia_documents(tmp_path: Path) -> None:
    engine = compiled(graph_file(HEAD, "fp16"), tmp_path / "x.engine")
    assert engine.capabilities == ("8.0", "8.6", "8.9", "12.0+")
    assert engine.options == {}


def test_an_engine_in_fp8_is_for_devices_that_have_it(tmp_path: Path) -> None:
    engine = build(
        graph_file(HEAD, "fp8"),
        TENSORRT_RTX.narrowed("fp8"),
        EngineOptions(),
        axes(HEAD),
        tmp_path / "x.engine",
        progress=lambda text: None,
    )
    assert engine.capabilities == ("8.9", "12.0+")
    assert engine.precisions["fp8"] >= 4 * LAYERS


def test_a_workspace_that_is_too_small_is_named_with_the_option_to_raise_it(tmp_path: Path) -> None:
    small = EngineOptions(workspace_mb=1)
    with pytest.raises(StageError, match=r"in 1 MB of workspace") as caught:
        build(
            graph_file(HEAD, "fp32"),
            TENSORRT_RTX,
            small,
            axes(HEAD),
            tmp_path / "x.engine",
            progress=lambda text: None,
        )
    assert caught.value.hint == "workspace_mb is 1: set a larger one in [engine], or leave it out"
    assert not (tmp_path / "x.engine").exists()


def test_an_attention_without_a_fused_kernel_is_compiled_as_operators_with_a_warning(tmp_path: Path) -> None:
    graph = with_attention(graph_file(HEAD, "fp32"), tmp_path)
    engine = compiled(graph, tmp_path / "x.engine")
    assert DECOMPOSED in engine.warnings
    assert any("not supported by a dedicated kernel" in text for text in engine.warnings)


def test_an_operator_that_the_parser_refuses_is_named_with_its_module(tmp_path: Path) -> None:
    graph = load(graph_file(HEAD, "fp32"))
    node = next(node for node in graph.graph if node.op_type == "Softmax")
    assert node.name is not None
    node.op_type, node.domain = "Unheard", "example"
    graph.graph.opset_imports["example"] = 1
    onnx_ir.save(graph, tmp_path / "unheard.onnx")
    with pytest.raises(StageError) as caught:
        compiled(tmp_path / "unheard.onnx", tmp_path / "x.engine")
    assert (
        f"at the node {node.name} (Unheard) of the module {node.name.rpartition('/')[0]}"
        in caught.value.message
    )


def test_a_file_that_is_not_a_graph_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_text("no graph")
    with pytest.raises(StageError, match=r"TensorRT-RTX could not compile x\.onnx to x\.engine"):
        compiled(tmp_path / "x.onnx", tmp_path / "x.engine")


def test_a_crash_of_the_compiler_is_a_failed_stage(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="its process was ended by the signal SIGKILL"):
        build(
            graph_file(HEAD, "fp32"),
            TENSORRT_RTX,
            EngineOptions(),
            axes(HEAD),
            tmp_path / "x.engine",
            progress=lambda text: None,
            watch=subprocess.Popen.kill,
        )


def test_an_engine_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "x.engine").mkdir()
    with pytest.raises(OSError, match="directory"):
        compiled(graph_file(HEAD, "fp32"), tmp_path / "x.engine")


def test_interrupting_kills_the_compiler_and_leaves_nothing(tmp_path: Path) -> None:
    running: list[subprocess.Popen[str]] = []

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(
            graph_file(HEAD, "fp32"),
            TENSORRT_RTX,
            EngineOptions(),
            axes(HEAD),
            tmp_path / "x.engine",
            progress=interrupt,
            watch=running.append,
        )
    assert running[0].returncode is not None
    assert not (tmp_path / "x.engine").exists()
