"""One query in place of all keys and values: the same answers, and attentions that must keep their projections."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph.builder import Insertion, initializer
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of
from pipeline.passes import registry
from pipeline.passes.base import ordered
from tests.graphs import LAYERS, add_reader, answer, exported, node, operators, ragged, unmasked
from tests.unit.pipeline.passes.checks import (
    Fault,
    apply_freely,
    assert_equal_to_the_bit,
    assert_names_are_unique_and_paths,
    assert_same,
    run,
    shapes,
)

NAME = "single_query"
ATTENTION = f"distilbert.transformer.layer.{LAYERS - 1}.attention"
HIDDEN, N_HEADS = 32, 4
every_head = pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice"])

# With what else a plan applies it, whatever the order in which the plan names them
PLANS = {
    "alone": ("first_token", NAME),
    "flat": ("flatten_tokens", NAME, "first_token"),
    "int8": ("flatten_tokens", NAME, "attention_scale", "first_token", "mask_where_needed"),
    "tidied": ("first_token", NAME, "transposes", "constants", "embeddings", "bias_gelu"),
}


@every_head
@pytest.mark.parametrize("names", PLANS.values(), ids=PLANS)
def test_same_answers(names: tuple[str, ...], head: str) -> None:
    before, after = exported(head), exported(head)
    order = [entry.name for entry in ordered([registry.find(name) for name in names])]
    assert dict(zip(order, run(after, *names), strict=True))[NAME] == 1
    # As many tokens as heads too
    batches = [*shapes(head), *([(5, N_HEADS)] if head == "sequence_classification" else [])]
    assert_same(before, after, *map(ragged, batches), *map(unmasked, batches))


def test_same_answers_where_one_layer_is_all() -> None:
    before, after = exported(n_layers=1), exported(n_layers=1)
    assert run(after, "first_token", NAME) == [1, 1]
    assert_same(before, after, ragged((4, 9)))


@every_head
def test_no_product_of_the_last_layer_has_a_row_a_token_and_a_square_weight(head: str) -> None:
    graph = exported(head)
    tokens = graph.graph.inputs[0].shape[-1]
    run(graph, "first_token", NAME)
    weighted = [
        candidate.outputs[0].shape
        for candidate in graph.graph
        if candidate.op_type == "MatMul"
        and candidate.name.startswith(ATTENTION)
        and candidate.inputs[1].is_initializer()
    ]
    assert len(weighted) == 4
    assert all(str(tokens) not in str(shape) for shape in weighted)
    rows = {str(shape[0]).rpartition("*")[2] for shape in weighted if len(shape) == 2}
    assert rows == {str(N_HEADS)}


def test_the_weights_keep_their_names_and_the_keys_bias_goes() -> None:
    before, after = exported(), exported()
    run(after, "first_token", NAME)
    old, new = before.graph.initializers, after.graph.initializers
    for name, turned in (("k_lin", True), ("v_lin", False)):
        expected = array_of(old[f"{ATTENTION}.{name}.weight"])
        stored = array_of(new[f"{ATTENTION}.{name}.weight"])
        np.testing.assert_array_equal(stored, expected.T if turned else expected)
    assert f"{ATTENTION}.k_lin.bias" not in new
    assert f"{ATTENTION}.v_lin.bias" in new


def test_a_text_has_one_answer_whatever_it_is_padded_to() -> None:
    graph = exported()
    run(graph, "first_token", NAME, "mask_where_needed")
    feeds = ragged((3, 7), seed=1)
    padded = {name: np.pad(numbers, ((0, 0), (0, 20))) for name, numbers in feeds.items()}
    shorter, longer = (answer(graph, batch, optimized=False)[0] for batch in (feeds, padded))
    # fp32 sums in another order
    np.testing.assert_allclose(longer[1:], shorter[1:], rtol=0, atol=1e-5)


@every_head
def test_again_changes_nothing_and_names_stay_unique(head: str) -> None:
    graph = exported(head)
    run(graph, "first_token", NAME)
    assert_names_are_unique_and_paths(graph)
    names = [candidate.name for candidate in graph.graph]
    assert apply_freely(graph, NAME).rewrites == 0
    assert [candidate.name for candidate in graph.graph] == names


def test_without_first_token_every_layer_has_many_queries() -> None:
    graph = exported()
    with pytest.raises(
        ContractError, match=f"{NAME} matched 0 times.*queries for each text, must be 1; apply first_token"
    ):
        run(graph, NAME)
    assert operators(graph) == operators(exported())


@pytest.mark.parametrize("name", ["attention_mha", "attention_onnx"])
def test_an_attention_that_is_fused_already_is_an_error(name: str) -> None:
    graph = exported()
    run(graph, "first_token", name)
    with pytest.raises(ContractError, match=f"{NAME} matched 0 times"):
        run(graph, NAME)


def keys_that_others_read(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}.k_lin/Add").outputs[0])


def keys_that_are_an_output(graph: Graph) -> None:
    graph.graph.outputs.append(node(graph, f"{ATTENTION}.k_lin/Add").outputs[0])


def values_that_others_read(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}/Transpose_1").outputs[0])


def values_that_are_the_keys(graph: Graph) -> None:
    keys = node(graph, f"{ATTENTION}.k_lin/Add").outputs[0]
    node(graph, f"{ATTENTION}/Reshape_2").replace_input_with(0, keys)


def scores_that_others_read(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}/MatMul").outputs[0])


def weights_that_others_read(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}/Softmax").outputs[0])


def a_weight_that_queries_share(graph: Graph) -> None:
    weight = node(graph, f"{ATTENTION}.q_lin/MatMul").inputs[1]
    node(graph, f"{ATTENTION}.k_lin/MatMul").replace_input_with(1, weight)


def no_bias(graph: Graph) -> None:
    add = node(graph, f"{ATTENTION}.v_lin/Add")
    add.outputs[0].replace_all_uses_with(node(graph, f"{ATTENTION}.v_lin/MatMul").outputs[0])
    graph.graph.remove(add, safe=True)


def a_bias_for_each_of_two_halves(graph: Graph) -> None:
    add = node(graph, f"{ATTENTION}.k_lin/Add")
    add.replace_input_with(1, initializer(graph, "wide.bias", np.ones((1, HIDDEN), dtype=np.float32)))


def a_factor_on_the_weights(graph: Graph) -> None:
    """What stands between softmax and product may make their sum another than 1."""
    softmax = node(graph, f"{ATTENTION}/Softmax")
    product = node(graph, f"{ATTENTION}/MatMul_1")
    insertion = Insertion.before(graph, product, module="extra")
    half = insertion.constant(np.array(0.5, dtype=np.float32))
    weights = softmax.outputs[0]
    product.replace_input_with(0, insertion.add("Mul", [weights, half], shape=weights.shape))


def softmax_over_heads(graph: Graph) -> None:
    node(graph, f"{ATTENTION}/Softmax").attributes["axis"] = onnx_ir.AttrInt64("axis", 1)


REFUSED: dict[Fault, str] = {
    keys_that_others_read: "has other readers",
    keys_that_are_an_output: "has other readers",
    values_that_others_read: "has other readers",
    values_that_are_the_keys: "has other readers",
    scores_that_others_read: "have other readers",
    weights_that_others_read: "its only reader must be a MatMul",
    a_weight_that_queries_share: "is not a matrix of its own",
    no_bias: "is not computed by Add",
    a_bias_for_each_of_two_halves: "does not add a constant with one number for each channel",
    a_factor_on_the_weights: "its only reader must be a MatMul",
    softmax_over_heads: "it does not sum to 1 over the keys",
}


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_changes_nothing(fault: Fault) -> None:
    graph = exported()
    run(graph, "first_token")
    fault(graph)
    before = graph.clone()
    with pytest.raises(
        ContractError, match=rf"{NAME} matched 0 times, must match at least 1.*{REFUSED[fault]}"
    ):
        run(graph, NAME)
    assert [candidate.name for candidate in graph.graph] == [candidate.name for candidate in before.graph]
    assert_equal_to_the_bit(before, graph, ragged((3, 7)))
