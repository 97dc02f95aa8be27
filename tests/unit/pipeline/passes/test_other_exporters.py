"""A graph that another exporter wrote stops the build with the name of the pass that no longer matches, or is kept."""

from collections.abc import Callable

import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph.file import Graph
from pipeline.passes import base, registry
from tests.graphs import exported, ragged, torchscript
from tests.unit.pipeline.passes.checks import assert_same


@pytest.mark.parametrize(
    "name", ["attention_mha", "attention_mha_flash", "attention_onnx", "embeddings", "packed_qkv"]
)
def test_torchscript_graphs_stop_it_by_name(name: str) -> None:
    with pytest.raises(
        ContractError, match=rf"{name} matched \d times, must match at least \d times"
    ) as caught:
        base.apply(torchscript(), [registry.find(name)])
    assert caught.value.name == name


def without_shapes_of_sums_with_a_bias(graph: Graph) -> None:
    for node in graph.graph:
        if node.op_type == "Add" and any(
            value is not None and value.is_initializer() for value in node.inputs
        ):
            node.outputs[0].shape = None


def without_channels_of_sums(graph: Graph) -> None:
    for node in graph.graph:
        shape = node.outputs[0].shape
        if node.op_type == "Add" and shape is not None and len(shape) == 3:
            node.outputs[0].shape = onnx_ir.Shape([*shape[:2], None])


def without_names_of_axes(graph: Graph) -> None:
    """Positions are added to all texts, which only the sizes tell."""
    for node in graph.graph:
        shape = node.outputs[0].shape
        if shape is not None and len(shape) == 3:
            node.outputs[0].shape = onnx_ir.Shape([None, None, shape[2]])


@pytest.mark.parametrize(
    "forget", [without_shapes_of_sums_with_a_bias, without_channels_of_sums, without_names_of_axes]
)
def test_flatten_tokens_leaves_what_the_file_does_not_describe(forget: Callable[[Graph], None]) -> None:
    """A missing shape is not that of a single number, and two axes without a name need not have the same size."""
    before, after = exported(), exported()
    forget(after)
    registry.find("flatten_tokens").run(after)
    assert_same(before, after, ragged((3, 7)))
