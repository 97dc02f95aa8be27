"""Smoothing changes the ranges that are quantized, and not the answers."""

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.graph.file import Graph
from pipeline.passes import registry
from pipeline.precision.layers import linear, smoothing
from pipeline.precision.ranges import observe
from tests.graphs import LAYERS, answer, calibration, exported, feeds
from tests.unit.pipeline.precision.quantized import HEAD, TIED, array, quantize, quantized

LAST = "distilbert.transformer.layer.1"


def smooth(graph: Graph, alpha: float = 0.5) -> int:
    return smoothing.smooth(graph, linear.find(graph), calibration(batches=2), alpha)


def largest_channels(graph: Graph, *modules: str) -> dict[str, np.ndarray]:
    """The largest magnitude in each channel of what `modules` read."""
    layers = {layer.module: layer for layer in linear.find(graph)}
    activations = [layers[module].activation for module in modules]
    gathered = observe.statistics(graph, activations, calibration(batches=2), histogram=False)
    return {
        module: gathered[str(activation.name)].channels
        for module, activation in zip(modules, activations, strict=True)
    }


@pytest.mark.parametrize("packed", [False, True])
def test_answers_stay_what_they_were(packed: bool) -> None:
    graph, inputs = exported(), feeds(HEAD, 3, 9, seed=2)
    expected = answer(graph, inputs)
    if packed:
        registry.find("packed_qkv").run(graph)
    # The inputs of the projections, of out_lin, lin1 and lin2, and of both layers of the classifier
    assert smooth(graph) == 4 * LAYERS + 2
    # Scaling rounds each weight and activation once more, in float32; logits are around 1
    np.testing.assert_allclose(answer(graph, inputs)[0], expected[0], rtol=0, atol=2e-5)


def test_the_context_of_attention_needs_no_multiplication() -> None:
    graph = exported()
    before = {node.name for node in graph.graph}
    smooth(graph)
    added = [node for node in graph.graph if node.name not in before]
    assert {node.op_type for node in added} == {"Mul"}
    assert len(added) == 3 * LAYERS + 2
    assert not any("out_lin" in node.name for node in added)


@pytest.mark.parametrize("packed", [False, True])
def test_the_arithmetic_by_hand(packed: bool) -> None:
    """Of lin1, whose input is divided in the graph, and of out_lin, whose input is divided in v_lin."""
    graph = exported()
    if packed:
        registry.find("packed_qkv").run(graph)
    before = {layer.module: layer.weight.copy() for layer in linear.find(graph)}
    channels = largest_channels(graph, f"{LAST}.attention.out_lin", f"{LAST}.ffn.lin1")
    values = f"{LAST}.attention.{'qkv' if packed else 'v'}_lin"
    bias = array(graph, f"{values}.bias")
    smooth(graph, 0.75)
    after = {layer.module: layer.weight for layer in linear.find(graph)}
    factors = {}
    for module, largest_C in channels.items():
        weight_C = np.abs(before[module]).max(axis=1)
        factors[module] = largest_C**0.75 / weight_C**0.25
        # Rounding of float32
        np.testing.assert_allclose(after[module], before[module] * factors[module][:, None], rtol=1e-5)
    stored = array(graph, f"{LAST}.ffn.lin1.smoothing")
    np.testing.assert_allclose(stored, 1 / factors[f"{LAST}.ffn.lin1"], rtol=1e-5)
    factor_C = factors[f"{LAST}.attention.out_lin"]
    width = len(factor_C)
    np.testing.assert_allclose(array(graph, f"{values}.bias")[-width:], bias[-width:] / factor_C, rtol=1e-5)
    np.testing.assert_array_equal(array(graph, f"{values}.bias")[:-width], bias[:-width])


@pytest.mark.parametrize("scheme", ["int8_static", "int8_dynamic", "fp8_static_fp16"])
def test_a_scheme_smooths_the_modules_that_its_plan_names(scheme: str) -> None:
    graph = exported()
    (record, *_) = quantize(graph, scheme, smoothing=0.5, smoothed=("*.ffn.lin1",)).passes
    assert (record.name, record.rewrites) == ("smoothing", LAYERS)
    assert {name.partition(".smoothing")[0] for name in graph.graph.initializers if ".smoothing" in name} == {
        f"distilbert.transformer.layer.{layer}.ffn.lin1" for layer in range(LAYERS)
    }


def test_a_module_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown module 'lin9'"):
        quantize(exported(), "int8_dynamic", smoothing=0.5, smoothed=("lin9",))


@pytest.mark.parametrize(("exclude", "smoothed"), [("*.layer.0.*", LAYERS - 1), ("*.ffn.*", 0)])
def test_a_plan_may_name_excluded_modules(exclude: str, smoothed: int) -> None:
    (record, *_) = quantize(
        exported(), "int8_dynamic", smoothing=0.5, smoothed=("*.ffn.lin1",), exclude=(exclude,)
    ).passes
    assert (record.name, record.rewrites) == ("smoothing", smoothed)


def test_without_smoothing_there_is_no_record() -> None:
    assert "smoothing" not in quantized("int8_static").counts


def test_an_activation_that_a_tied_weight_reads_stays_as_it_is() -> None:
    graph = exported(TIED)
    activation = {layer.module: layer for layer in linear.find(graph)}["vocab_projector"].activation
    tables = array(graph, "distilbert.embeddings.word_embeddings.weight")
    chosen = [layer for layer in linear.find(graph) if layer.activation is activation]
    assert smoothing.smooth(graph, chosen, calibration(TIED, batches=2), 0.5) == 0
    np.testing.assert_array_equal(array(graph, "distilbert.embeddings.word_embeddings.weight"), tables)


def test_residual_sums_read_what_they_read_before() -> None:
    graph = exported()
    residual = next(node for node in graph.graph if node.name == "distilbert.transformer.layer.0/Add")
    before = residual.inputs[0]
    smooth(graph)
    assert residual.inputs[0] is before
    assert before.producer().op_type == "LayerNormalization"


def test_channels_of_an_activation_come_closer() -> None:
    graph = exported()

    def spread() -> float:
        (channels,) = largest_channels(graph, f"{LAST}.ffn.lin1").values()
        return float(channels.max() / np.median(channels))

    before = spread()
    smooth(graph, 0.8)
    # The tiny model has one channel four times as large as the others
    assert spread() < 0.6 * before


def test_factors_are_those_of_the_paper() -> None:
    activation = np.array([4.0, 1.0, 0.0, 16.0], dtype=np.float32)
    weight = np.array([1.0, 4.0, 2.0, 0.0], dtype=np.float32)
    np.testing.assert_allclose(smoothing.factors(activation, weight, 0.5), [2.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(smoothing.factors(activation, weight, 1.0), [4.0, 1.0, 1.0, 1.0])
    # 4^0.75 / 1^0.25, 1 / 4^0.25
    np.testing.assert_allclose(
        smoothing.factors(activation, weight, 0.75)[:2], [2 * np.sqrt(2), 1 / np.sqrt(2)]
    )


def test_factors_stay_within_a_thousand() -> None:
    extremes = np.array([1e8, 1e-8], dtype=np.float32)
    np.testing.assert_allclose(smoothing.factors(extremes, extremes[::-1], 0.5), [1e3, 1e-3])


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 1.5])
def test_alpha_lies_between_0_and_1(alpha: float) -> None:
    with pytest.raises(UsageError, match=f"found {alpha}"):
        smooth(exported(), alpha)
