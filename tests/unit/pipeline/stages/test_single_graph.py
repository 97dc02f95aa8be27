"""A graph of a stranger must not bring a private file into the output, and a pass that finds nothing says why."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import ContractError, UsageError
from pipeline.graph import file as graph_file
from pipeline.recipe.plan import Plan
from pipeline.stages import single_graph
from tests.graphs import answer, exported, feeds, torchscript


def write(folder: Path, location: str, *, in_node: bool) -> Path:
    """A graph in the new `folder` whose one tensor has its values at `location`."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    constant, copy = (
        helper.make_node("Constant", [], ["y"], value=tensor),
        helper.make_node("Identity", ["w"], ["y"]),
    )
    nodes, weights = ([constant], []) if in_node else ([copy], [tensor])
    graph = helper.make_graph(nodes, "g", [], [output], initializer=weights)
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("in_node", [False, True])
@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("../secret", "which lies outside the model's folder"),
        ("link", "which is a link to .*secret, outside its folder"),
        ("absent", "which is not beside it"),
    ],
)
def test_weights_that_are_not_beside_the_graph(
    tmp_path: Path, location: str, problem: str, in_node: bool
) -> None:
    (tmp_path / "secret").write_bytes(b"secret, 16 bytes")
    path = write(tmp_path / "graph", location, in_node=in_node)
    (path.parent / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=rf"keeps weights in '{location}', {problem}"):
        single_graph.fuse(path, ("constants",), tmp_path / "output.onnx")
    assert not (tmp_path / "output.onnx").exists()


def exported_file(folder: Path) -> Path:
    graph_file.save(exported(), folder / "model.onnx")
    return folder / "model.onnx"


def contract(path: Path, *names: str) -> str:
    """The hint of fusing `path`, which must break the contract of a pass."""
    with pytest.raises(ContractError) as caught:
        single_graph.fuse(path, names, path.with_name("again.onnx"))
    assert "exporter writes other operators" not in caught.value.hint
    return caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "attention_mha",
            "the graph was fused before: it has MultiHeadAttention; give the graph that `distilforge",
        ),
        ("attention_onnx", "the graph was fused before: it has Attention; give"),
        (
            "attention_scale",
            "attention_scale, or a pass that rewrites the same operators, was applied to the graph",
        ),
    ],
)
def test_a_pass_that_was_applied_before_is_the_hint(name: str, hint: str, tmp_path: Path) -> None:
    fused = tmp_path / "fused.onnx"
    single_graph.fuse(exported_file(tmp_path), [name], fused)
    assert hint in contract(fused, name)


def test_a_pass_that_another_one_needs_is_the_hint(tmp_path: Path) -> None:
    path = exported_file(tmp_path)
    assert (
        contract(path, "single_query") == "name first_token too: among the passes of the plan, or with --pass"
    )
    plan = Plan(scheme="int8_static", quantize_attention=True)
    with pytest.raises(ContractError) as caught:
        single_graph.quantize(
            path, plan, checkpoint="absent", head=None, data=None, output=tmp_path / "o.onnx"
        )
    assert caught.value.hint == "name attention_scale too: among the passes of the plan, or with --pass"


def test_a_graph_of_another_tool_is_the_hint(tmp_path: Path) -> None:
    graph_file.save(torchscript(), tmp_path / "model.onnx")
    assert "another tool wrote the graph" in contract(tmp_path / "model.onnx", "attention_mha")
    assert "was applied to the graph before, or another tool wrote the graph;" in contract(
        tmp_path / "model.onnx", "first_token"
    )


def test_types_that_the_file_leaves_out_are_inferred(tmp_path: Path) -> None:
    graph = exported()
    for node in graph.graph:
        for value in node.outputs:
            if not value.is_graph_output():
                value.type = value.shape = None
    graph_file.save(graph, tmp_path / "model.onnx")
    single_graph.fuse(tmp_path / "model.onnx", ("packed_qkv",), tmp_path / "output.onnx")
    inputs = feeds("sequence_classification", 3, 9)
    fused = answer(graph_file.load(tmp_path / "output.onnx"), inputs)
    # Sums in another order
    np.testing.assert_allclose(fused[0], answer(exported(), inputs)[0], rtol=0, atol=1e-5)


def test_weights_that_are_inputs_too_become_constants(tmp_path: Path) -> None:
    graph = exported()
    graph.graph.inputs.extend(graph.graph.initializers.values())
    graph.ir_version = 3
    graph_file.save(graph, tmp_path / "model.onnx")
    single_graph.fuse(tmp_path / "model.onnx", ("attention_mha",), tmp_path / "output.onnx")
    written = graph_file.load(tmp_path / "output.onnx")
    assert [value.name for value in written.graph.inputs] == ["input_ids", "attention_mask"]
    assert written.ir_version == 4
