"""Smoothing changes what is quantized, and nothing that is computed."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.graph.file import Graph
from pipeline.passes import fusions
from pipeline.precision import schemes
from pipeline.precision.layers import linear
from pipeline.precision.ranges import observe
from pipeline.precision.smoothing import smoothing
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds

HEAD = "sequence_classification"


def smooth(graph: Graph, alpha: float = 0.5) -> int:
    return smoothing.smooth(graph, linear.find(graph), calibration(), alpha)


@pytest.mark.parametrize("packed", [False, True])
def test_answers_stay_what_they_were(packed: bool) -> None:
    graph, inputs = exported(), feeds(HEAD, 3, 9, seed=2)
    expected = answer(graph, inputs)
    if packed:
        fusions.find("packed_qkv").run(graph)
    # the inputs of the projections, of out_lin, lin1 and lin2, and of both layers of the classifier
    assert smooth(graph) == 4 * LAYERS + 2
    np.testing.assert_allclose(answer(graph, inputs)[0], expected[0], rtol=0, atol=2e-5)


def test_what_attention_averages_costs_no_multiplication() -> None:
    graph = exported()
    before = {node.name for node in graph.graph}
    smooth(graph)
    added = [node for node in graph.graph if node.name not in before]
    assert {node.op_type for node in added} == {"Mul"}
    assert len(added) == 3 * LAYERS + 2
    assert not any("out_lin" in node.name for node in added)


def test_a_plan_names_the_modules_whose_inputs_are_smoothed() -> None:
    for scheme in ("int8_static", "int8_dynamic"):
        graph = exported()
        plan = Plan(scheme=scheme, smoothing=0.5, smoothed=("*.ffn.lin1",))
        (record, *_) = schemes.find(scheme).run(graph, plan, calibration()).passes
        assert (record.name, record.rewrites) == ("smoothing", LAYERS)
        factors = [name for name in graph.graph.initializers if name.endswith(".smoothing")]
        assert factors == [
            f"distilbert.transformer.layer.{layer}.ffn.lin1.smoothing" for layer in range(LAYERS)
        ]
        with pytest.raises(UsageError, match="unknown module 'lin9'"):
            schemes.find(scheme).run(
                exported(), Plan(scheme=scheme, smoothing=0.5, smoothed=("lin9",)), calibration()
            )


@pytest.mark.parametrize("scheme", ["int8_static", "int8_dynamic"])
def test_a_plan_may_name_what_is_excluded(scheme: str) -> None:
    plan = Plan(scheme=scheme, smoothing=0.5, smoothed=("*.ffn.lin1",), exclude=("*.layer.0.*",))
    (record, *_) = schemes.find(scheme).run(exported(), plan, calibration()).passes
    assert (record.name, record.rewrites) == ("smoothing", LAYERS - 1)
    nothing = replace(plan, exclude=("*.ffn.*",))
    (record, *_) = schemes.find(scheme).run(exported(), nothing, calibration()).passes
    assert (record.name, record.rewrites) == ("smoothing", 0)


def test_residual_sums_read_what_they_read_before() -> None:
    graph = exported()
    residual = next(node for node in graph.graph if node.name == "distilbert.transformer.layer.0/Add")
    before = residual.inputs[0]
    smooth(graph)
    assert residual.inputs[0] is before
    assert before.producer().op_type == "LayerNormalization"


def test_channels_of_an_activation_come_closer() -> None:
    graph = exported()
    layers = {each.module: each for each in linear.find(graph)}
    name = "distilbert.transformer.layer.1.ffn.lin1"

    def spread() -> float:
        activation = layers[name].activation
        seen = observe.statistics(graph, [activation], calibration(), histogram=False)
        channels = seen[str(activation.name)].channels
        assert channels is not None
        return float(channels.max() / np.median(channels))

    before = spread()
    smooth(graph, 0.8)
    assert spread() < 0.6 * before


def test_factors_are_those_of_the_paper() -> None:
    activation = np.array([4.0, 1.0, 0.0, 16.0], dtype=np.float32)
    weight = np.array([1.0, 4.0, 2.0, 0.0], dtype=np.float32)
    np.testing.assert_allclose(smoothing.factors(activation, weight, 0.5), [2.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(smoothing.factors(activation, weight, 1.0), [4.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("alpha", [-0.5, 1.5])
def test_alpha_lies_between_0_and_1(alpha: float) -> None:
    with pytest.raises(UsageError, match=f"found {alpha}"):
        smooth(exported(), alpha)
