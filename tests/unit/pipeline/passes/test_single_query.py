"""One query in place of all keys and values: the same answers, and attentions that must keep their projections."""

from collections.abc import Callable

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.builder import initializer
from pipeline.passes import fusions
from pipeline.passes.base import ordered
from pipeline.passes.matching.rewriting import constant, describe
from tests.unit.pipeline.passes.graphs import (
    LAYERS,
    answer,
    assert_same,
    exported,
    node,
    operators,
    ragged,
    refused,
    run,
)

NAME = "single_query"
HEADS = ("sequence_classification", "multiple_choice")
ATTENTION = f"distilbert.transformer.layer.{LAYERS - 1}.attention"
HIDDEN, N_HEADS = 32, 4
every_head = pytest.mark.parametrize("head", HEADS)

# With what else a plan applies it, whatever the order in which the plan names them
PLANS = {
    "alone": ("first_token", NAME),
    "flat": ("flatten_tokens", NAME, "first_token"),
    "int8": ("flatten_tokens", NAME, "attention_scale", "first_token", "mask_where_needed"),
    "tidied": ("first_token", NAME, "transposes", "constants", "embeddings", "bias_gelu"),
}


def shapes(head: str) -> list[tuple[int, ...]]:
    # As many tokens as heads, and fewer, and one
    return (
        [(2, 3, 7), (1, 2, 1), (1, 1, 4)] if head == "multiple_choice" else [(3, 7), (2, 1), (5, 4), (2, 32)]
    )


@every_head
@pytest.mark.parametrize("names", PLANS.values(), ids=PLANS)
def test_same_answers(names: tuple[str, ...], head: str) -> None:
    before, after = exported(head), exported(head)
    order = [each.name for each in ordered([fusions.find(name) for name in names])]
    assert dict(zip(order, run(after, *names), strict=True))[NAME] == 1
    for shape in shapes(head):
        feeds = ragged(shape)
        assert_same(before, after, feeds)
        assert_same(before, after, feeds | {"attention_mask": np.ones(shape, dtype=np.int64)})


def test_same_answers_where_one_layer_is_all() -> None:
    before, after = exported(n_layers=1), exported(n_layers=1)
    assert run(after, "first_token", NAME) == [1, 1]
    assert_same(before, after, ragged((4, 9)))


@every_head
def test_no_product_of_the_last_layer_has_a_row_a_token_and_a_square_weight(head: str) -> None:
    made = exported(head)
    tokens = made.graph.inputs[0].shape[-1]
    run(made, "first_token", NAME)
    products = [each for each in made.graph if each.op_type == "MatMul" and each.name.startswith(ATTENTION)]
    weighted = [each for each in products if each.inputs[1].is_initializer()]
    assert len(weighted) == 4
    for each in weighted:
        assert str(tokens) not in str(each.outputs[0].shape)
    rows = {
        str(each.outputs[0].shape[0]).rpartition("*")[2]
        for each in weighted
        if len(each.outputs[0].shape) == 2
    }
    assert rows == {str(N_HEADS)}


def test_the_weights_keep_their_names_and_the_keys_bias_goes() -> None:
    before, after = exported(), exported()
    run(after, "first_token", NAME)
    old, new = before.graph.initializers, after.graph.initializers
    for name, turned in (("k_lin", True), ("v_lin", False)):
        expected = old[f"{ATTENTION}.{name}.weight"].const_value.numpy()
        found = new[f"{ATTENTION}.{name}.weight"].const_value.numpy()
        np.testing.assert_array_equal(found, expected.T if turned else expected)
    assert f"{ATTENTION}.k_lin.bias" not in new
    assert f"{ATTENTION}.v_lin.bias" in new


def test_a_text_has_one_answer_whatever_it_is_padded_to() -> None:
    made = exported()
    run(made, "first_token", NAME, "mask_where_needed")
    feeds = ragged((3, 7), seed=1)
    padded = {name: np.pad(numbers, ((0, 0), (0, 20))) for name, numbers in feeds.items()}
    # fp32 sums in another order
    np.testing.assert_allclose(answer(made, padded)[0][1:], answer(made, feeds)[0][1:], rtol=0, atol=1e-5)


@every_head
def test_again_changes_nothing_and_names_stay_unique(head: str) -> None:
    made = exported(head)
    run(made, "first_token", NAME)
    names = [each.name for each in made.graph]
    assert len(set(names)) == len(names)
    assert all("/" in name for name in names)
    assert refused(made, NAME).rewrites == 0
    assert [each.name for each in made.graph] == names


def test_without_first_token_every_layer_has_many_queries() -> None:
    made = exported()
    with pytest.raises(
        ContractError, match=f"{NAME} matched 0 times.*queries a text, must be 1; first_token"
    ):
        run(made, NAME)
    assert operators(made) == operators(exported())


@pytest.mark.parametrize("name", ["attention_mha", "attention_onnx"])
def test_an_attention_that_is_fused_already_is_an_error(name: str) -> None:
    made = exported()
    run(made, "first_token", name)
    with pytest.raises(ContractError, match=f"{NAME} matched 0 times"):
        run(made, NAME)


def also_read(made: graph_file.Graph, name: str) -> None:
    """Let the graph give out what node `name` computes."""
    value = node(made, name).outputs[0]
    extra = onnx_ir.node("Identity", [value], name="extra/Identity")
    describe(extra.outputs[0], value.shape, value.dtype)
    made.graph.append(extra)
    made.graph.outputs.append(extra.outputs[0])


def keys_that_others_read(made: graph_file.Graph) -> None:
    also_read(made, f"{ATTENTION}.k_lin/Add")


def keys_that_are_an_output(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{ATTENTION}.k_lin/Add").outputs[0])


def values_that_others_read(made: graph_file.Graph) -> None:
    also_read(made, f"{ATTENTION}/Transpose_1")


def values_that_are_the_keys(made: graph_file.Graph) -> None:
    keys = node(made, f"{ATTENTION}.k_lin/Add").outputs[0]
    node(made, f"{ATTENTION}/Reshape_2").replace_input_with(0, keys)


def scores_that_others_read(made: graph_file.Graph) -> None:
    also_read(made, f"{ATTENTION}/MatMul")


def weights_that_others_read(made: graph_file.Graph) -> None:
    also_read(made, f"{ATTENTION}/Softmax")


def a_weight_that_queries_share(made: graph_file.Graph) -> None:
    weight = node(made, f"{ATTENTION}.q_lin/MatMul").inputs[1]
    node(made, f"{ATTENTION}.k_lin/MatMul").replace_input_with(1, weight)


def no_bias(made: graph_file.Graph) -> None:
    add = node(made, f"{ATTENTION}.v_lin/Add")
    add.outputs[0].replace_all_uses_with(node(made, f"{ATTENTION}.v_lin/MatMul").outputs[0])
    made.graph.remove(add, safe=True)


def a_bias_for_each_of_two_halves(made: graph_file.Graph) -> None:
    add = node(made, f"{ATTENTION}.k_lin/Add")
    add.replace_input_with(1, initializer(made, "wide.bias", np.ones((1, HIDDEN), dtype=np.float32)))


def a_factor_on_the_weights(made: graph_file.Graph) -> None:
    """What stands between softmax and product may make their sum another than 1."""
    softmax = node(made, f"{ATTENTION}/Softmax")
    product = node(made, f"{ATTENTION}/MatMul_1")
    half = onnx_ir.node(
        "Mul", [softmax.outputs[0], constant(made, np.array(0.5, dtype=np.float32))], name="extra/Mul"
    )
    describe(half.outputs[0], softmax.outputs[0].shape, softmax.outputs[0].dtype)
    made.graph.insert_before(product, half)
    product.replace_input_with(0, half.outputs[0])


def softmax_over_heads(made: graph_file.Graph) -> None:
    node(made, f"{ATTENTION}/Softmax").attributes["axis"] = onnx_ir.AttrInt64("axis", 1)


REFUSED: dict[Callable[[graph_file.Graph], None], str] = {
    keys_that_others_read: "has other readers",
    keys_that_are_an_output: "has other readers",
    values_that_others_read: "has other readers",
    values_that_are_the_keys: "has other readers",
    scores_that_others_read: "have other readers",
    weights_that_others_read: "no matrix product alone reads its output",
    a_weight_that_queries_share: "is no matrix of its own",
    no_bias: "is no output of Add",
    a_bias_for_each_of_two_halves: "adds no constant with one number a channel",
    a_factor_on_the_weights: "no matrix product alone reads its output",
    softmax_over_heads: "it does not sum to 1 over the keys",
}


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_changes_nothing(fault: Callable[[graph_file.Graph], None]) -> None:
    made = exported()
    run(made, "first_token")
    fault(made)
    before = made.clone()
    with pytest.raises(
        ContractError, match=rf"{NAME} matched 0 times, must match at least 1.*{REFUSED[fault]}"
    ):
        run(made, NAME)
    assert [each.name for each in made.graph] == [each.name for each in before.graph]
    for found, expected in zip(answer(made, ragged((3, 7))), answer(before, ragged((3, 7))), strict=True):
        np.testing.assert_array_equal(found, expected)
