"""The merged graph computes what each graph computes alone, and exchanges one module at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from distilforge.manifest import Variant

from pipeline.bisection.boundaries import shared
from pipeline.bisection.hybrid import Hybrid, load
from pipeline.bisection.measure import local_noise
from pipeline.graph.file import Graph
from tests.graphs import answer, exported, feeds
from tests.unit.pipeline.precision.quantized import HEAD, change_weight, quantize

LIN2 = "distilbert.transformer.layer.0.ffn.lin2"
SETTINGS = Variant(target="onnxruntime-cpu", precision="int8", files=("onnx/model.onnx",), validated=True)


def merged(variant: Graph) -> tuple[Hybrid, list[str]]:
    """The hybrid of the tiny graph and `variant`, and the names of its boundaries."""
    reference = exported()
    boundaries = shared(reference, variant)
    return load(reference, variant, boundaries, SETTINGS), [boundary.module for boundary in boundaries]


def wrong_lin2() -> Graph:
    graph = exported()
    change_weight(graph, f"{LIN2}.weight", lambda weight: weight * 2)
    return graph


def quantized(scheme: str, **changes: object) -> Graph:
    graph = exported()
    quantize(graph, scheme, **changes)
    return graph


VARIANTS: dict[str, Callable[[], Graph]] = {
    "int8": lambda: quantized("int8_static", weight_bits=7),
    "fp16": lambda: quantized("fp16"),
    "wrong": wrong_lin2,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_all_switches_at_one_side_give_the_answer_of_that_graph(name: str) -> None:
    variant, inputs = VARIANTS[name](), feeds(HEAD, 3, 9)
    expected = answer(variant, inputs)[0]
    hybrid, names = merged(variant)
    # Other optimizations of ONNX Runtime, on logits around 1: 1e-4 in fp16, far below the effect of a module
    np.testing.assert_allclose(
        hybrid.run(inputs, quantized=range(len(names)))["logits"], expected, rtol=0, atol=2e-3
    )
    np.testing.assert_allclose(
        hybrid.run(inputs, quantized=())["logits"], answer(exported(), inputs)[0], rtol=0, atol=1e-5
    )


def test_one_switch_exchanges_one_module() -> None:
    inputs = feeds(HEAD, 3, 9)
    expected = {"reference": answer(exported(), inputs)[0], "variant": answer(wrong_lin2(), inputs)[0]}
    hybrid, names = merged(wrong_lin2())
    index = names.index(LIN2)
    everything = set(range(len(names)))
    # Sums of float32 in another order
    for quantized_boundaries, side in (({index}, "variant"), (everything - {index}, "reference")):
        logits = hybrid.run(inputs, quantized=quantized_boundaries)["logits"]
        np.testing.assert_allclose(logits, expected[side], rtol=0, atol=1e-5)
    assert np.abs(expected["reference"] - expected["variant"]).max() > 0.01


def test_only_the_module_that_is_wrong_has_noise_of_its_own() -> None:
    hybrid, names = merged(wrong_lin2())
    noise = dict(zip(names, local_noise(hybrid, [feeds(HEAD, 3, 9)], unpaired=()), strict=True))
    # Its weight is doubled, and its bias is small: the error is nearly the signal
    assert 0.5 < noise.pop(LIN2) < 2
    # Two kernels of float32
    assert max(noise.values()) < 1e-10


def test_the_graphs_of_a_hybrid_keep_the_higher_operator_set() -> None:
    reference, variant = exported(), exported()
    variant.graph.opset_imports["com.microsoft"] = 1
    boundaries = shared(reference, variant)
    load(reference, variant, boundaries, SETTINGS)
    assert reference.graph.opset_imports["com.microsoft"] == 1
