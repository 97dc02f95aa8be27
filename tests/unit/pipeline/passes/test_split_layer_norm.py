"""Layer norms for what is quantized: the same 8-bit numbers, and what is left alone."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx_ir
import pytest

from model_src import heads
from pipeline.graph.file import Graph, check
from pipeline.graph.values import array_of, is_operator, producer
from pipeline.passes import registry
from tests.graphs import LAYERS, answer, exported, operators, ragged
from tests.unit.pipeline.passes.checks import run, shapes
from tests.unit.pipeline.precision import quantized

NAME = "split_layer_norm"


def quantized_norms(graph: Graph) -> Iterator[tuple[onnx_ir.Node, onnx_ir.Node]]:
    """Each LayerNormalization that a QuantizeLinear reads, and the QuantizeLinear."""
    for node in graph.graph:
        norm = producer(node, 0)
        if (
            is_operator(node, "QuantizeLinear")
            and norm is not None
            and is_operator(norm, "LayerNormalization")
        ):
            yield norm, node


def random_norms(graph: Graph) -> None:
    """Give layer norms weights and biases as trained models have, which differ from channel to channel."""
    random = np.random.default_rng(5)
    for node in quantized.nodes(graph, "LayerNormalization"):
        for value in node.inputs[1:]:
            array = array_of(value)
            assert value is not None
            assert array is not None
            noise = random.normal(0, 0.2, array.shape).astype(np.float32)
            value.const_value = onnx_ir.tensor(array + noise, name=value.name)


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("head", heads.names())
def test_layer_norms_of_their_own_with_the_same_answers(head: str, smoothed: bool) -> None:
    graph = exported(head)
    random_norms(graph)
    quantized.quantize(
        graph, "int8_static", head, **({"smoothing": 0.8, "smoothed": ("*.ffn.lin1",)} if smoothed else {})
    )
    before = graph.clone()
    # Queries, keys and values of a layer read one, and the first linear layer of its network another
    assert run(graph, NAME) == [2 * LAYERS]
    check(graph)
    counts, old = operators(graph), operators(before)
    assert counts["LayerNormalization"] == old["LayerNormalization"] + 2 * LAYERS
    assert counts["Mul"] == old["Mul"] - (LAYERS if smoothed else 0)
    for norm, quantize in quantized_norms(graph):
        if "steps" in str(norm.name):
            assert array_of(quantize.inputs[1]) == 1
            assert norm.attributes.get_float("epsilon") == pytest.approx(1e-12)
    for inputs in map(ragged, shapes(head)):
        for given, expected in zip(
            answer(graph, inputs, optimized=False), answer(before, inputs, optimized=False), strict=True
        ):
            assert_close(given, expected)
    assert run(graph, NAME) == [0]


def test_a_layer_norm_that_nothing_else_reads_is_left_alone() -> None:
    # The last one, and the one between the transform of a masked language model and its vocabulary
    graph = quantized.quantized_graph("masked_lm")
    assert run(graph, NAME) == [2 * LAYERS]
    alone = [norm for norm, _ in quantized_norms(graph) if "steps" not in str(norm.name)]
    modules = [str(norm.name).partition("/")[0].rpartition(".")[2] for norm in alone]
    assert modules == ["output_layer_norm", "vocab_layer_norm"]


def test_scales_for_each_channel_are_refused() -> None:
    graph = quantized.quantized_graph("token_classification")
    quantize = next(node for _, node in quantized_norms(graph))
    scale = quantize.inputs[1]
    array = array_of(scale)
    assert scale is not None
    assert array is not None
    scale.const_value = onnx_ir.tensor(np.repeat(array, 32), name=scale.name)
    result = registry.find(NAME).run(graph)
    assert result.rewrites == 2 * LAYERS - 1
    assert result.refusals == (f"{quantize.name}: it has more than one scale",)


@pytest.mark.parametrize("shape", [(1, 1, 32), (7, 1)])
def test_other_factors_are_refused(shape: tuple[int, ...]) -> None:
    graph = quantized.quantized_graph("token_classification", smoothing=0.8, smoothed=("*.ffn.lin1",))
    factor = next(value for name, value in graph.graph.initializers.items() if "smoothing" in name)
    factor.const_value = onnx_ir.tensor(np.ones(shape, dtype=np.float32), name=factor.name)
    result = registry.find(NAME).run(graph)
    assert result.rewrites == 2 * LAYERS - 1
    assert [refusal.partition(": ")[2] for refusal in result.refusals] == [
        "its factor is not one for each channel"
    ]


def test_a_layer_norm_without_a_bias_gets_one_without() -> None:
    graph = quantized.quantized_graph("token_classification")
    for norm in quantized.nodes(graph, "LayerNormalization"):
        norm.resize_inputs(2)
    before = graph.clone()
    assert run(graph, NAME) == [2 * LAYERS]
    assert all(len(norm.inputs) == 2 for norm, _ in quantized_norms(graph))
    inputs = ragged((3, 7))
    for given, expected in zip(answer(graph, inputs), answer(before, inputs), strict=True):
        assert_close(given, expected)


def test_weights_in_float16_are_refused() -> None:
    graph = quantized.quantized_graph("token_classification")
    norm, quantize = next(quantized_norms(graph))
    array = array_of(norm.inputs[1])
    assert norm.inputs[1] is not None
    assert array is not None
    norm.inputs[1].const_value = onnx_ir.tensor(array.astype(np.float16), name=norm.inputs[1].name)
    result = registry.find(NAME).run(graph)
    assert result.refusals == (
        f"{quantize.name}: a parameter of its layer norm is not a constant in float32",
    )


def assert_close(given: npt.NDArray[np.generic], expected: npt.NDArray[np.generic]) -> None:
    """Equal but for a number that lay between two steps and was rounded the other way."""
    spread = float(np.ptp(expected.astype(np.float64))) or 1.0
    assert float(np.abs(given.astype(np.float64) - expected.astype(np.float64)).max()) < 0.02 * spread
