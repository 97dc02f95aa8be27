"""Every activation that config.json may name: what the committed plans apply to it, and the same answers."""

import pytest

from pipeline.errors import ContractError
from tests.graphs import exported, operators, ragged, renamed
from tests.unit.pipeline.passes.checks import assert_same, run, shapes

HEAD = "sequence_classification"
# One name for each function, in the order of model_src.config.ACTIVATIONS
OTHERS = (
    "gelu_new", "quick_gelu", "relu", "relu2", "relu6", "leaky_relu", "silu", "mish", "tanh", "sigmoid", "linear",
    "laplace",
)  # fmt: skip
ACTIVATIONS = ("gelu", "gelu_10", *OTHERS)
CPU = "attention_scale first_token single_query flatten_tokens mask_where_needed drop_padding".split()
CUDA = "first_token packed_qkv attention_mha attention_packed embedding_sum skip_layer_norm bias_gelu".split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("names", [CPU, CUDA], ids=["cpu", "cuda"])
def test_plans_apply_to_every_activation(names: list[str], activation: str) -> None:
    before, after = (exported(HEAD, n_layers=1, activation=activation) for _ in range(2))
    run(after, *names)
    assert_same(before, after, *map(ragged, shapes(HEAD)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_activation_needs_an_axis_of_tokens(activation: str) -> None:
    """Of the nodes between attention and the head, all have two axes, so that no reshape surrounds the activation."""
    graph = exported("token_classification", n_layers=1, activation=activation)
    run(graph, "flatten_tokens")
    feed_forward = [node for node in graph.graph if ".ffn" in str(node.name)]
    assert {len(node.outputs[0].shape or ()) for node in feed_forward} == {2}


@pytest.mark.parametrize("activation", OTHERS)
def test_bias_gelu_has_nothing_to_do_for_another_activation(activation: str) -> None:
    graph = exported("masked_lm", n_layers=1, activation=activation)
    assert run(graph, "bias_gelu") == [0]
    assert operators(graph)["BiasGelu"] == 0


def test_bias_gelu_does_not_take_a_classifiers_relu_for_another_activation() -> None:
    graph = renamed(exported(HEAD, n_layers=1), "Gelu")
    with pytest.raises(ContractError, match="bias_gelu matched 0 times, must match at least 1 times"):
        run(graph, "bias_gelu")
