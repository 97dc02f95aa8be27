"""The mask only where something is masked: the same answers either way, to the bit, and sums that must stay."""

import numpy as np
import pytest

from pipeline.graph.builder import Insertion, shared_constant
from pipeline.graph.file import Graph
from tests.graphs import LAYERS, add_reader, exported, node, operators, ragged, unmasked
from tests.unit.pipeline.passes.checks import (
    Fault,
    assert_equal_to_the_bit,
    assert_refused_in_one_layer,
    assert_same,
    assert_same_for_pairwise_masks,
    run,
)

NAME = "mask_where_needed"
ATTENTION = "distilbert.transformer.layer.1.attention"


@pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice"])
def test_answers_are_equal_to_the_bit_with_and_without_anything_masked(head: str) -> None:
    before, after = exported(head), exported(head)
    run(after, NAME)
    shape = (2, 3, 7) if head == "multiple_choice" else (3, 7)
    assert_equal_to_the_bit(before, after, ragged(shape), unmasked(shape))


def test_one_question_for_all_layers_and_one_choice_for_each() -> None:
    graph = exported()
    run(graph, NAME)
    assert operators(graph)["ReduceL1"] == 1
    assert operators(graph)["If"] == LAYERS
    assert operators(graph)["Softmax"] == 0


def test_scores_that_another_node_reads_stay_outside_of_the_branches() -> None:
    graph = exported()
    add_reader(graph, node(graph, f"{ATTENTION}/MatMul").outputs[0])
    before = graph.clone()
    run(graph, NAME)
    assert operators(graph)["MatMul"] == operators(before)["MatMul"] - LAYERS + 1
    assert_same(before, graph, ragged((3, 7)), unmasked((3, 7)))


def test_names_are_unique_within_the_branches_too() -> None:
    graph = exported()
    run(graph, NAME)
    nodes = list(graph.graph.all_nodes())
    assert len(nodes) > len(list(graph.graph))
    values = [value for node in nodes for value in node.outputs]
    assert len({node.name for node in nodes}) == len(nodes)
    assert len({value.name for value in values}) == len(values)


def test_a_mask_of_positive_numbers_masks_too() -> None:
    before = exported()
    # a bonus of 3 in the place of the penalty of -10000: the smallest value is 0, and others are not
    bonus = shared_constant(before, np.array(3, dtype=np.float32))
    node(before, "distilbert/Mul").replace_input_with(1, bonus)
    after = before.clone()
    run(after, NAME)
    assert_equal_to_the_bit(before, after, ragged((3, 7)))


def test_pairwise_masks() -> None:
    assert_same_for_pairwise_masks(NAME)


@pytest.mark.parametrize(
    "others", [("flatten_tokens",), ("attention_scale", "first_token", "flatten_tokens")]
)
def test_after_the_others(others: tuple[str, ...]) -> None:
    before, after = exported(), exported()
    # Named first, and applied last
    assert run(after, NAME, *others)[-1] == LAYERS
    assert_same(before, after, ragged((3, 7)), unmasked((3, 7)))


def no_mask(graph: Graph) -> None:
    softmax = node(graph, f"{ATTENTION}/Softmax")
    softmax.replace_input_with(0, node(graph, f"{ATTENTION}/MatMul").outputs[0])


def masked_scores_that_are_an_output(graph: Graph) -> None:
    graph.graph.outputs.append(node(graph, f"{ATTENTION}/Add").outputs[0])


def weights_that_are_an_output(graph: Graph) -> None:
    graph.graph.outputs.append(node(graph, f"{ATTENTION}/Softmax").outputs[0])


def a_mask_for_each_head(graph: Graph) -> None:
    add = node(graph, f"{ATTENTION}/Add")
    mask = add.inputs[1]
    insertion = Insertion.before(graph, add, module="extra")
    shape = [mask.shape[0], 4, 1, mask.shape[3]]
    add.replace_input_with(1, insertion.add("Expand", [mask, insertion.sizes(1, 4, 1, 1)], shape=shape))


def a_mask_that_is_constant(graph: Graph) -> None:
    mask = shared_constant(graph, np.full((1, 1, 1, 1), -2, dtype=np.float32))
    node(graph, f"{ATTENTION}/Add").replace_input_with(1, mask)


FAULTS: dict[Fault, str] = {
    no_mask: "does not read the sum of scores and mask",
    masked_scores_that_are_an_output: "is not the sum's only reader",
    weights_that_are_an_output: "an output of the graph",
    a_mask_for_each_head: r"extra/Expand_output_0 has shape \[batch,4,1,sequence\]",
    a_mask_that_is_constant: "is not computed",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_keeps_the_answers(fault: Fault) -> None:
    before, after = assert_refused_in_one_layer(NAME, fault, FAULTS[fault])
    assert_equal_to_the_bit(before, after, ragged((3, 7)))
