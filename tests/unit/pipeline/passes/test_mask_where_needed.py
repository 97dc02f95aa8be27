"""The mask only where something is masked: the same answers either way, to the bit, and sums that must stay."""

from collections.abc import Callable

import numpy as np
import onnx_ir
import pytest

from pipeline.graph import file as graph_file
from pipeline.passes.matching.rewriting import constant
from tests.unit.pipeline.passes.graphs import (
    LAYERS,
    answer,
    assert_same,
    exported,
    node,
    operators,
    pairwise,
    ragged,
    refused_in_one_layer,
    run,
)

NAME = "mask_where_needed"
ATTENTION = "distilbert.transformer.layer.1.attention"


def unmasked(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    feeds = ragged(shape)
    return feeds | {"attention_mask": np.ones(shape, dtype=np.int64)}


@pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice"])
def test_answers_are_equal_to_the_bit_with_and_without_anything_masked(head: str) -> None:
    before, after = exported(head), exported(head)
    run(after, NAME)
    shape = (2, 3, 7) if head == "multiple_choice" else (3, 7)
    for feeds in (ragged(shape), unmasked(shape)):
        for found, expected in zip(answer(after, feeds), answer(before, feeds), strict=True):
            assert np.isfinite(found).all()
            np.testing.assert_array_equal(found, expected)


def test_one_question_for_all_layers_and_one_choice_for_each() -> None:
    made = exported()
    run(made, NAME)
    assert operators(made)["ReduceL1"] == 1
    assert operators(made)["If"] == LAYERS
    assert operators(made)["Softmax"] == 0


def test_scores_that_another_node_reads_stay_outside_of_the_branches() -> None:
    made = exported()
    scores = node(made, f"{ATTENTION}/MatMul").outputs[0]
    extra = onnx_ir.node("Neg", [scores], name="extra/Neg")
    extra.outputs[0].name, extra.outputs[0].type, extra.outputs[0].shape = "extra", scores.type, scores.shape
    made.graph.append(extra)
    made.graph.outputs.append(extra.outputs[0])
    before = made.clone()
    run(made, NAME)
    assert operators(made)["MatMul"] == operators(before)["MatMul"] - LAYERS + 1
    assert_same(before, made, ragged((3, 7)))
    assert_same(before, made, unmasked((3, 7)))


def test_names_are_unique_within_the_branches_too() -> None:
    made = exported()
    run(made, NAME)
    everything = list(made.graph.all_nodes())
    assert len(everything) > len(list(made.graph))
    for names in (
        [each.name for each in everything],
        [value.name for each in everything for value in each.outputs],
    ):
        assert len(set(names)) == len(names)


def test_a_mask_of_positive_numbers_is_no_empty_mask() -> None:
    before = exported()
    # a bonus of 3 in the place of the penalty of -10000: the smallest value is 0, and others are not
    node(before, "distilbert/Mul").replace_input_with(1, constant(before, np.array(3, dtype=np.float32)))
    after = before.clone()
    run(after, NAME)
    feeds = ragged((3, 7))
    np.testing.assert_array_equal(answer(after, feeds)[0], answer(before, feeds)[0])


def test_pairwise_masks() -> None:
    before, after = pairwise(), pairwise()
    assert run(after, NAME) == [LAYERS]
    feeds = ragged((3, 9))
    for mask in (np.tril(np.ones((3, 9, 9))), np.ones((3, 9, 9)), np.zeros((3, 9, 9))):
        assert_same(before, after, feeds | {"attention_mask": mask.astype(np.int64)})


@pytest.mark.parametrize(
    "others", [("flatten_tokens",), ("attention_scale", "first_token", "flatten_tokens")]
)
def test_after_the_others(others: tuple[str, ...]) -> None:
    before, after = exported(), exported()
    # Named first, and applied last
    assert run(after, NAME, *others)[-1] == LAYERS
    assert_same(before, after, ragged((3, 7)))
    assert_same(before, after, unmasked((3, 7)))


def no_mask(made: graph_file.Graph) -> None:
    softmax = node(made, f"{ATTENTION}/Softmax")
    softmax.replace_input_with(0, node(made, f"{ATTENTION}/MatMul").outputs[0])


def masked_scores_that_are_an_output(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{ATTENTION}/Add").outputs[0])


def weights_that_are_an_output(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{ATTENTION}/Softmax").outputs[0])


def a_mask_for_each_head(made: graph_file.Graph) -> None:
    add = node(made, f"{ATTENTION}/Add")
    mask = add.inputs[1]
    expand = onnx_ir.node("Expand", [mask, constant(made, np.array([1, 4, 1, 1]))], name="extra/Expand")
    expand.outputs[0].name, expand.outputs[0].type = "extra", mask.type
    expand.outputs[0].shape = onnx_ir.Shape([mask.shape[0], 4, 1, mask.shape[3]])
    made.graph.insert_before(add, expand)
    add.replace_input_with(1, expand.outputs[0])


def a_mask_that_is_constant(made: graph_file.Graph) -> None:
    mask = constant(made, np.array([-2], dtype=np.float32).reshape(1, 1, 1, 1))
    node(made, f"{ATTENTION}/Add").replace_input_with(1, mask)


FAULTS: dict[Callable[[graph_file.Graph], None], str] = {
    no_mask: "no mask is added ahead of it",
    masked_scores_that_are_an_output: "no mask is added ahead of it, for it alone",
    weights_that_are_an_output: "an output of the graph",
    a_mask_for_each_head: r"extra has shape \[batch,4,1,sequence\]",
    a_mask_that_is_constant: "is not computed",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_with_the_reason_and_keeps_the_answers(fault: Callable[[graph_file.Graph], None]) -> None:
    before, after = refused_in_one_layer(NAME, fault, FAULTS[fault])
    feeds = ragged((3, 7))
    for found, expected in zip(answer(after, feeds), answer(before, feeds), strict=True):
        np.testing.assert_array_equal(found, expected)
