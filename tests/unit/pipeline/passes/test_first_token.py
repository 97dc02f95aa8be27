"""The last layer for the first token alone: the same answers, and heads and graphs that need every token."""

from collections.abc import Callable

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.passes import fusions
from pipeline.passes.base import ordered
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
    refused,
    run,
)

NAME = "first_token"
HEADS = ("sequence_classification", "multiple_choice")
LAST = f"distilbert.transformer.layer.{LAYERS - 1}"
every_head = pytest.mark.parametrize("head", HEADS)

# With what else a plan applies it, whatever the order in which the plan names them
PLANS = {
    "alone": (NAME,),
    "flat": ("flatten_tokens", NAME),
    "int8": ("attention_scale", "flatten_tokens", NAME, "mask_where_needed"),
    "mha": ("flatten_tokens", "attention_mha", NAME),
    "onnx": ("attention_onnx", "flatten_tokens", NAME),
}


def shapes(head: str) -> list[tuple[int, ...]]:
    return (
        [(2, 3, 7), (1, 2, 1), (1, 1, 4)] if head == "multiple_choice" else [(3, 7), (2, 1), (1, 9), (2, 32)]
    )


@every_head
@pytest.mark.parametrize("names", PLANS.values(), ids=PLANS)
def test_same_answers(names: tuple[str, ...], head: str) -> None:
    before, after = exported(head), exported(head)
    counts = dict(
        zip(
            (each.name for each in ordered([fusions.find(name) for name in names])),
            run(after, *names),
            strict=True,
        )
    )
    assert counts[NAME] == 1
    for shape in shapes(head):
        assert_same(before, after, ragged(shape))


@every_head
def test_the_last_layer_has_one_query_and_all_keys(head: str) -> None:
    made = exported(head)
    tokens = node(made, f"{LAST}.attention/Softmax").outputs[0].shape[3]
    run(made, NAME)
    softmax = node(made, f"{LAST}.attention/Softmax").outputs[0]
    assert tuple(softmax.shape[2:]) == (1, tokens)
    for name in ("sa_layer_norm", "output_layer_norm"):
        assert node(made, f"{LAST}.{name}/LayerNormalization").outputs[0].shape[1] == 1
    for name in ("k_lin", "v_lin"):
        assert node(made, f"{LAST}.attention.{name}/Add").outputs[0].shape[1] == tokens
    for layer in range(LAYERS - 1):
        softmax = node(made, f"distilbert.transformer.layer.{layer}.attention/Softmax").outputs[0]
        assert tuple(softmax.shape[2:]) == (tokens, tokens)


@every_head
def test_again_changes_nothing_and_names_stay_unique(head: str) -> None:
    made = exported(head)
    run(made, NAME)
    names = [each.name for each in made.graph]
    assert len(set(names)) == len(names)
    assert all("/" in name for name in names)
    assert refused(made, NAME).rewrites == 0
    assert [each.name for each in made.graph] == names


def test_mask_and_attention_with_one_query_and_no_expanded_mask_where_one_layer_is_all() -> None:
    before, after = exported(n_layers=1), exported(n_layers=1)
    assert run(after, NAME, "attention_mha") == [1, 1]
    assert "Expand" not in operators(after)
    (attention,) = (each for each in after.graph if each.op_type == "MultiHeadAttention")
    assert [tuple(attention.inputs[index].shape)[1:] for index in (0, 5)] == [(1, 32), (1, 1, "sequence")]
    assert_same(before, after, ragged((4, 9)))


def test_flash_refuses_one_query_with_the_reason() -> None:
    with pytest.raises(ContractError, match=r"attention_mha_flash matched 1 times.*has one query"):
        run(exported(), NAME, "attention_mha_flash")


def test_pairwise_masks_lose_all_rows_but_the_first() -> None:
    before = first_of_tokens(pairwise())
    after = before.clone()
    run(after, NAME)
    feeds = ragged((3, 9))
    texts = np.array([[0] * 9, [0, 0, 0, 1, 1, 1, 1, 2, 2], [0, 1, 1, 2, 2, 2, 3, 3, 3]])
    feeds["attention_mask"] = (texts[:, :, None] == texts[:, None, :]).astype(np.int64)
    assert_same(before, after, feeds)
    fused = after.clone()
    run(fused, "attention_mha", "flatten_tokens")
    assert_same(before, fused, feeds)
    others = feeds | {"attention_mask": np.ones((3, 9, 9), dtype=np.int64)}
    assert np.abs(answer(after, feeds)[0] - answer(after, others)[0]).max() > 1e-3


def first_of_tokens(made: graph_file.Graph) -> graph_file.Graph:
    """The graph of a head that reads all tokens, which then gives the first token's answer alone."""
    (output,) = made.graph.outputs
    hidden = node(made, "classifier/MatMul").inputs[0]
    chosen = onnx_ir.node(
        "Gather", [hidden, constant(made, np.array(0))], {"axis": 1}, name="classifier/Gather"
    )
    chosen.outputs[0].shape = onnx_ir.Shape([hidden.shape[0], hidden.shape[2]])
    chosen.outputs[0].type = hidden.type
    made.graph.insert_before(node(made, "classifier/MatMul"), chosen)
    node(made, "classifier/MatMul").replace_input_with(0, chosen.outputs[0])
    for name in ("classifier/MatMul", "classifier/Add"):
        value = node(made, name).outputs[0]
        value.shape = onnx_ir.Shape([value.shape[0], value.shape[2]])
    assert output.shape.rank() == 2
    graph_file.check(made)
    return made


def read_by_another(made: graph_file.Graph) -> None:
    hidden = node(made, f"{LAST}.output_layer_norm/LayerNormalization").outputs[0]
    add_output(made, hidden)


def an_output_of_the_graph(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{LAST}.output_layer_norm/LayerNormalization").outputs[0])


def another_token(made: graph_file.Graph) -> None:
    node(made, "sequence_classification/Gather").replace_input_with(1, constant(made, np.array(1)))


def a_list_of_tokens(made: graph_file.Graph) -> None:
    gather = node(made, "sequence_classification/Gather")
    gather.replace_input_with(1, constant(made, np.array([0])))
    squeeze = onnx_ir.node(
        "Squeeze", [gather.outputs[0], constant(made, np.array([1]))], name="extra/Squeeze"
    )
    read = node(made, "pre_classifier/Gemm")
    squeeze.outputs[0].name, squeeze.outputs[0].type = "extra", gather.outputs[0].type
    squeeze.outputs[0].shape = gather.outputs[0].shape
    batch, channels = gather.outputs[0].shape
    gather.outputs[0].shape = onnx_ir.Shape([batch, 1, channels])
    made.graph.insert_before(read, squeeze)
    read.replace_input_with(0, squeeze.outputs[0])


def softmax_over_queries(made: graph_file.Graph) -> None:
    node(made, f"{LAST}.attention/Softmax").attributes["axis"] = onnx_ir.AttrInt64("axis", 2)


def norm_over_tokens(made: graph_file.Graph) -> None:
    norm = node(made, f"{LAST}.sa_layer_norm/LayerNormalization")
    norm.op_type, norm.attributes["axis"] = "Softmax", onnx_ir.AttrInt64("axis", 1)
    for name in ("epsilon", "stash_type"):
        norm.attributes.pop(name, None)
    norm.resize_inputs(1)


def scores_of_the_last_layer_are_an_output(made: graph_file.Graph) -> None:
    made.graph.outputs.append(node(made, f"{LAST}.attention/MatMul").outputs[0])


REFUSED: dict[Callable[[graph_file.Graph], None], str] = {
    read_by_another: "others read all tokens",
    an_output_of_the_graph: "others read all tokens",
    another_token: "nothing looked like its pattern",
    a_list_of_tokens: "nothing looked like its pattern",
    softmax_over_queries: "Softmax needs all tokens along axis 2",
    norm_over_tokens: "Softmax needs all tokens along axis 1",
}


def add_output(made: graph_file.Graph, value: onnx_ir.Value) -> None:
    extra = onnx_ir.node("Identity", [value], name="extra/Identity")
    extra.outputs[0].name, extra.outputs[0].shape, extra.outputs[0].type = "extra", value.shape, value.type
    made.graph.append(extra)
    made.graph.outputs.append(extra.outputs[0])


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.__name__)
def test_refuses_what_needs_other_tokens(fault: Callable[[graph_file.Graph], None]) -> None:
    made = exported()
    fault(made)
    before = made.clone()
    with pytest.raises(
        ContractError, match=rf"{NAME} matched 0 times, must match at least 1 times.*{REFUSED[fault]}"
    ):
        run(made, NAME)
    assert operators(made) == operators(before)
    assert_same(before, made, ragged((3, 7)))


@pytest.mark.parametrize("head", ["features", "masked_lm", "question_answering", "token_classification"])
def test_a_head_that_reads_all_tokens_is_refused_by_name(head: str) -> None:
    made = exported(head)
    with pytest.raises(ContractError, match=f"{NAME} matched 0 times"):
        run(made, NAME)
    assert operators(made) == operators(exported(head))


def test_scores_that_are_an_output_keep_all_their_queries() -> None:
    made = exported()
    scores_of_the_last_layer_are_an_output(made)
    before = made.clone()
    refused(made, NAME)
    feeds = ragged((3, 7))
    for found, expected in zip(answer(made, feeds), answer(before, feeds), strict=True):
        np.testing.assert_allclose(found[1:], expected[1:], rtol=0, atol=1e-5)


def test_a_term_that_is_no_computed_value_is_refused_and_nothing_is_changed() -> None:
    made = exported()
    # Sizes are named alike, so this constant of all tokens takes part in the residual sum
    add = node(made, f"{LAST}/Add")
    tokens = add.outputs[0].shape[1]
    table = constant(made, np.ones((1, 7, 32), dtype=np.float32))
    table.shape = onnx_ir.Shape([1, 7, 32])
    add.replace_input_with(1, table)
    assert not isinstance(tokens, int)
    before = made.clone()
    applied = fusions.find(NAME).run(made)
    assert applied.rewrites == 0
    assert any("input 1 is not computed" in reason for reason in applied.refusals)
    assert operators(made) == operators(before)
