"""Where modules end in two graphs of one checkpoint, and which modules a pass hides."""

import pytest

from model_src import heads
from pipeline.bisection.boundaries import followers, parameterized, shared, swallowed
from pipeline.passes import base, registry
from tests.graphs import exported
from tests.unit.pipeline.precision.quantized import quantized

LAYER = "distilbert.transformer.layer.1"
ATTENTION = f"{LAYER}.attention"


@pytest.mark.parametrize("head", heads.names())
def test_every_module_with_weights_ends_in_both_graphs(head: str) -> None:
    reference, variant = exported(head), quantized("int8_static", head).graph.clone()
    boundaries = shared(reference, variant)
    ends = {boundary.module: boundary for boundary in boundaries}
    assert len(ends) == len(boundaries)
    assert set(parameterized(reference)) <= set(ends)
    for boundary in boundaries:
        assert boundary.reference.shape is not None
        assert boundary.variant.shape is not None
        assert len(boundary.reference.shape) == len(boundary.variant.shape)


def test_boundaries_have_the_order_of_the_reference_and_end_with_the_output() -> None:
    reference = exported()
    boundaries = shared(reference, exported())
    order = [list(reference.graph).index(boundary.reference.producer()) for boundary in boundaries]
    assert order == sorted(order)
    assert boundaries[-1].reference is reference.graph.outputs[0]


def test_a_module_ends_after_its_bias() -> None:
    (lin1,) = (
        boundary for boundary in shared(exported(), exported()) if boundary.module == f"{LAYER}.ffn.lin1"
    )
    producer = lin1.reference.producer()
    assert producer is not None
    assert producer.op_type == "Add"


def test_a_packed_projection_ends_in_its_three_parts() -> None:
    reference, variant = exported(), exported()
    base.apply(variant, [registry.find("packed_qkv")])
    ends = {boundary.module: boundary.variant for boundary in shared(reference, variant)}
    parts = [ends[f"{ATTENTION}.{part}_lin"] for part in "qkv"]
    (split,) = {part.producer() for part in parts}
    assert split is not None
    assert split.op_type == "Split"
    assert list(split.outputs) == parts


def test_keys_that_are_padded_end_elsewhere() -> None:
    reference, variant = exported(), exported()
    base.apply(variant, [registry.find("whole_vectors")])
    ends = {boundary.module for boundary in shared(reference, variant)}
    assert f"{ATTENTION}.q_lin" in ends
    assert not {f"{ATTENTION}.k_lin", f"{ATTENTION}.v_lin"} & ends


def test_a_module_whose_bias_a_fusion_took_counts_to_the_next_one() -> None:
    reference, variant = exported(), exported()
    base.apply(variant, [registry.find(name) for name in ("bias_gelu", "skip_layer_norm")])
    boundaries = shared(reference, variant)
    ends = {boundary.module for boundary in boundaries}
    assert f"{LAYER}.ffn.lin1" not in ends
    hidden = swallowed(followers(reference, boundaries), ends, parameterized(reference))
    (next_module,) = (end for end, modules in hidden.items() if f"{LAYER}.ffn.lin1" in modules)
    assert next_module.startswith(f"{LAYER}.")


def test_swallowed_modules_are_followed_to_the_first_end_on_every_path() -> None:
    following = {"a": ("b", "c"), "b": ("d",), "c": ("e",), "d": ("e",), "e": ()}
    assert swallowed(following, {"d", "e"}, ("a", "b", "c", "d")) == {"d": ("a", "b"), "e": ("a", "c")}
    assert swallowed(following, {"a", "b", "c", "d"}, ("a", "b")) == {}
