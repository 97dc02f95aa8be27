"""Keys for whole vectors: how many there are, the same answers to the bit, and what must stay as it is."""

import numpy as np
import onnx_ir
import pytest

from pipeline.graph.builder import Insertion
from pipeline.graph.file import Graph, check
from pipeline.graph.values import sole_reader
from pipeline.passes.matching.masked_scores import masked_scores
from pipeline.passes.whole_vectors import NUMBERS
from tests.graphs import (
    LAYERS,
    Array,
    add_reader,
    answer,
    exported,
    node,
    operators,
    ragged,
    session,
    unmasked,
)
from tests.unit.pipeline.passes.checks import (
    Fault,
    apply_freely,
    assert_refused_in_one_layer,
    assert_same,
    assert_same_for_pairwise_masks,
    run,
)
from tests.unit.pipeline.precision import quantized

NAME = "whole_vectors"
ATTENTION = "distilbert.transformer.layer.1.attention"


def weights_of(graph: Graph, inputs: dict[str, Array]) -> Array:
    """The output of the last layer's softmax, (batch, heads, queries, keys)."""
    softmax = node(graph, f"{ATTENTION}/Softmax").outputs[0]
    graph.graph.outputs.append(softmax)
    weights: Array = session(graph).run([str(softmax.name)], inputs)[0]
    return weights


@pytest.mark.parametrize(("tokens", "keys"), [(1, 16), (7, 16), (15, 16), (16, 16), (17, 32), (32, 32)])
def test_keys_become_a_multiple_of_16_and_weigh_nothing(tokens: int, keys: int) -> None:
    graph = exported()
    assert run(graph, NAME) == [LAYERS]
    weights = weights_of(graph, ragged((3, tokens)))
    assert weights.shape[2:] == (tokens, keys)
    assert keys % NUMBERS == 0
    # The first text is masked throughout, and its padding has no weight either
    assert not weights[..., tokens:].any()
    np.testing.assert_allclose(weights[..., :tokens].sum(axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice", "masked_lm"])
def test_quantized_tokens_are_padded_in_8_bits(head: str) -> None:
    graph = quantized.exported(head)
    quantized.quantize(graph, "int8_static", head)
    before = graph.clone()
    assert run(graph, NAME) == [LAYERS]
    check(graph)
    pads = [each for each in graph.graph if each.op_type == "Pad"]
    # One for the mask, and one for each layer
    assert len(pads) == 1 + LAYERS
    types = [pad.outputs[0].dtype for pad in pads]
    assert types.count(onnx_ir.DataType.UINT8) == LAYERS
    shape = (2, 3, 21) if head == "multiple_choice" else (3, 21)
    for inputs in (ragged(shape), unmasked(shape)):
        pairs = zip(
            answer(graph, inputs, optimized=False), answer(before, inputs, optimized=False), strict=True
        )
        for given, expected in pairs:
            np.testing.assert_allclose(given, expected, atol=2e-2)


def test_pairwise_masks() -> None:
    assert_same_for_pairwise_masks(NAME)


@pytest.mark.parametrize(
    "others", [(), ("attention_scale", "first_token"), ("attention_scale", "first_token", "single_query")]
)
def test_after_the_others(others: tuple[str, ...]) -> None:
    before, after = exported(), exported()
    assert run(after, NAME, *others)[-1] == LAYERS
    assert_same(before, after, ragged((3, 7)), unmasked((3, 16)), ragged((2, 17)))


def test_all_layers_share_one_mask() -> None:
    graph = exported()
    run(graph, NAME)
    assert operators(graph)["Mod"] == 1
    assert operators(graph)["Pad"] == 1 + LAYERS


def test_rows_of_tokens_are_left_alone() -> None:
    graph = exported()
    run(graph, "attention_scale", "flatten_tokens")
    result = apply_freely(graph, NAME)
    # Only the first layer, which flatten_tokens does not reach, has an axis of its own for tokens
    assert any("must be (batch, sequence, hidden)" in refusal for refusal in result.refusals)


def keys_that_are_an_output(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}.k_lin/Add").outputs[0])


def scores_that_another_node_reads(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}/MatMul").outputs[0])


def weights_that_another_node_reads(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}/Softmax").outputs[0])


def values_that_change_after_the_projection(graph: Graph) -> None:
    product = node(graph, f"{ATTENTION}/MatMul_1")
    values = product.inputs[1]
    assert values is not None
    insertion = Insertion.before(graph, product, module="extra")
    product.replace_input_with(1, insertion.add("Neg", [values], shape=values.shape))


FAULTS: dict[Fault, str] = {
    keys_that_are_an_output: "is not a projection with a bias",
    scores_that_another_node_reads: "something else reads them",
    weights_that_another_node_reads: "must be the only reader of its output",
    values_that_change_after_the_projection: r"input 1 of .*MatMul_1 is not a projection",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_keeps_the_answers(fault: Fault) -> None:
    before, after = assert_refused_in_one_layer(NAME, fault, FAULTS[fault])
    assert_same(before, after, ragged((3, 7)))


def weights_of_hidden_states_that_another_node_reads(graph: Graph) -> None:
    squeeze = sole_reader(node(graph, f"{ATTENTION}/Softmax").outputs[0])
    assert squeeze is not None
    add_reader(graph, squeeze.outputs[0])


def scores_of_hidden_states_that_another_node_reads(graph: Graph) -> None:
    softmax = node(graph, f"{ATTENTION}/Softmax")
    unsqueeze = masked_scores(softmax).scores.producer()
    assert unsqueeze is not None
    transposed = unsqueeze.inputs[0]
    assert transposed is not None
    add_reader(graph, transposed)


HIDDEN_FAULTS: dict[Fault, str] = {
    weights_of_hidden_states_that_another_node_reads: "must be the only reader of its output",
    scores_of_hidden_states_that_another_node_reads: "the scores of hidden states, read once",
}


@pytest.mark.parametrize("fault", HIDDEN_FAULTS, ids=lambda fault: fault.__name__)
def test_hidden_states_that_are_read_twice_are_left_alone(fault: Fault) -> None:
    graph = exported()
    run(graph, "attention_scale", "first_token", "single_query")
    fault(graph)
    before = graph.clone()
    result = apply_freely(graph, NAME)
    assert result.rewrites == LAYERS - 1
    assert any(HIDDEN_FAULTS[fault] in refusal for refusal in result.refusals)
    assert_same(before, graph, ragged((3, 7)))


def test_hidden_states_are_padded_once_for_both_products() -> None:
    graph = exported()
    run(graph, NAME, "attention_scale", "first_token", "single_query")
    # One for the mask, and one for each layer
    assert operators(graph)["Pad"] == 1 + LAYERS
    weights = weights_of(graph, ragged((3, 7)))
    assert weights.shape[2:] == (1, 16)
    assert not weights[..., 7:].any()
