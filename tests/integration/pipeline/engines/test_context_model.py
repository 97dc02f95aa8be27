"""Models that give engines to ONNX Runtime: with real engines, and loaded by ONNX Runtime."""

import hashlib
from pathlib import Path

import onnx
import onnxruntime
import pytest
from distilforge.manifest import CompiledEngine
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

from model_src import heads
from pipeline.engines import context_model
from pipeline.engines.build import build
from pipeline.engines.options import EngineOptions
from pipeline.targets.onnxruntime_rtx import ONNXRUNTIME_RTX
from pipeline.targets.onnxruntime_tensorrt import ONNXRUNTIME_TENSORRT
from tests.engine_graphs import axes, graph_file

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no wheel for this machine")

HEAD = "sequence_classification"
CPU = ["CPUExecutionProvider"]


def written(head: str, precision: str, folder: Path) -> tuple[Path, CompiledEngine]:
    """The model for an engine that TensorRT-RTX compiles here, and the engine's manifest entry."""
    graph, engine = graph_file(head, precision), folder / "x.engine"
    compiled = build(graph, ONNXRUNTIME_RTX, EngineOptions(), axes(head), engine, progress=lambda text: None)
    model = folder / "x_ctx.onnx"
    context_model.write(graph, engine, compiled, ONNXRUNTIME_RTX.provider, model)
    return model, compiled


def attributes(model: Path) -> dict[str, object]:
    (node,) = onnx.load(model).graph.node
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


@pytest.fixture(scope="module")
def around_bytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file in place of an engine, for tests that do not depend on its content."""
    folder = tmp_path_factory.mktemp("context")
    (folder / "x.engine").write_bytes(b"engine!")
    return folder


def around(folder: Path, *capabilities: str, provider: str = ONNXRUNTIME_RTX.provider) -> Path:
    compiled = CompiledEngine(
        flavour="TensorRT-RTX",
        version="1.7.1.116",
        capabilities=capabilities,
        profiles=(axes(HEAD),),
        precisions={"fp16": 1},
        bytes=7,
        activation_bytes=None,
        build_seconds=1.0,
    )
    model = folder / f"{provider}_ctx.onnx"
    context_model.write(graph_file(HEAD, "fp16"), folder / "x.engine", compiled, provider, model)
    return model


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("head", heads.names())
def test_every_head_is_one_node_around_a_real_engine_with_the_tensors_of_its_graph(
    head: str, precision: str, tmp_path: Path
) -> None:
    model, compiled = written(head, precision, tmp_path)
    assert compiled.capabilities == ("8.6", "8.9", "12.0+")
    said = attributes(model)
    assert said["embed_mode"] == 0
    named = tmp_path / said["ep_cache_context"].decode()  # type: ignore[attr-defined]
    content = named.read_bytes()
    # The file begins with TensorRT's header: the providers pass it to deserializeCudaEngine unchanged
    assert content[:4] == b"vtrt"
    assert int.from_bytes(content[16:24], "little") == len(content) == compiled.bytes
    assert said["ep_sdk_version"] == compiled.version.encode()
    assert said["partition_name"] == f"engine_{hashlib.sha256(content).hexdigest()[:16]}".encode()
    assert model.stat().st_size < 2000

    onnx.checker.check_model(model, full_check=True)
    loaded, graph = onnx.load(model).graph, onnx.load(graph_file(head, precision)).graph
    assert list(loaded.input) == list(graph.input)
    assert list(loaded.output) == list(graph.output)
    (node,) = loaded.node
    # Providers match the tensors of the engine and of the node by name
    assert list(node.input) == [value.name for value in graph.input]
    assert list(node.output) == [value.name for value in graph.output]


def test_the_engine_has_the_tensors_that_the_node_has(around_bytes: Path) -> None:
    """Without a device an engine does not tell the names of its tensors; its network has the same ones."""
    import tensorrt_rtx

    model = around(around_bytes, "8.6")
    log = tensorrt_rtx.Logger(tensorrt_rtx.Logger.ERROR)
    network = tensorrt_rtx.Builder(log).create_network()
    parser = tensorrt_rtx.OnnxParser(network, log)
    assert parser.parse_from_file(str(graph_file(HEAD, "fp16")))
    graph = onnx.load(model).graph
    for values, count, tensor in (
        (graph.input, network.num_inputs, network.get_input),
        (graph.output, network.num_outputs, network.get_output),
    ):
        assert [value.name for value in values] == [tensor(index).name for index in range(count)]
        for index, value in enumerate(values):
            wanted = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            assert tensorrt_rtx.nptype(tensor(index).dtype) == wanted
            assert len(tensor(index).shape) == len(value.type.tensor_type.shape.dim)


def test_the_attributes_are_those_of_onnxruntimes_operator(around_bytes: Path) -> None:
    (schema,) = [schema for schema in get_all_operator_schema() if schema.name == "EPContext"]
    node = onnx.load(around(around_bytes, "8.6")).graph.node[0]
    assert (node.domain, node.op_type) == (schema.domain, schema.name)
    for attribute in node.attribute:
        assert attribute.name in schema.attributes
        assert attribute.type == schema.attributes[attribute.name].type.value


@pytest.mark.parametrize("provider", [ONNXRUNTIME_RTX.provider, ONNXRUNTIME_TENSORRT.provider])
def test_onnxruntime_runs_the_engine_with_its_own_provider_only(provider: str, around_bytes: Path) -> None:
    model = around(around_bytes, "8.6", provider=provider)
    with pytest.raises(
        Exception, match=f"EPContext node generated by '{provider}' is not compatible"
    ) as caught:
        onnxruntime.InferenceSession(model, providers=CPU)
    assert type(caught.value).__module__.startswith("onnxruntime")


@pytest.mark.parametrize(
    ("capabilities", "architecture"),
    [
        (("8.6",), b"86"),
        (("8.0+",), b"80+"),
        (("12.0",), b"120"),
        (("8.6", "8.9", "12.0+"), None),
        ((), None),
    ],
)
def test_a_single_capability_is_written_as_the_architecture(
    capabilities: tuple[str, ...], architecture: bytes | None, around_bytes: Path
) -> None:
    assert attributes(around(around_bytes, *capabilities)).get("hardware_architecture") == architecture


def test_different_engines_have_different_names_for_their_kernels(tmp_path: Path) -> None:
    names = set()
    for content in (b"engine!", b"another"):
        (tmp_path / "x.engine").write_bytes(content)
        names.add(attributes(around(tmp_path, "8.6"))["partition_name"])
    assert len(names) == 2
