"""The last layer for the first token alone: the same answers, and heads and graphs that need every token."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.builder import Insertion, shared_constant
from pipeline.graph.file import Graph
from pipeline.passes import registry
from pipeline.passes.base import ordered
from tests.graphs import LAYERS, add_reader, answer, exported, node, operators, pairwise, ragged
from tests.unit.pipeline.passes.checks import (
    Fault,
    apply_freely,
    assert_names_are_unique_and_paths,
    assert_same,
    run,
    shapes,
)

NAME = "first_token"
LAST = f"distilbert.transformer.layer.{LAYERS - 1}"
every_head = pytest.mark.parametrize("head", ["sequence_classification", "multiple_choice"])

# With what else a plan applies it, whatever the order in which the plan names them
PLANS = {
    "alone": (NAME,),
    "flat": ("flatten_tokens", NAME),
    "int8": ("attention_scale", "flatten_tokens", NAME, "mask_where_needed"),
    "mha": ("flatten_tokens", "attention_mha", NAME),
    "onnx": ("attention_onnx", "flatten_tokens", NAME),
}


@every_head
@pytest.mark.parametrize("names", PLANS.values(), ids=PLANS)
def test_same_answers(names: tuple[str, ...], head: str) -> None:
    before, after = exported(head), exported(head)
    order = [entry.name for entry in ordered([registry.find(name) for name in names])]
    assert dict(zip(order, run(after, *names), strict=True))[NAME] == 1
    assert_same(before, after, *map(ragged, shapes(head)))


@every_head
def test_the_last_layer_has_one_query_and_all_keys(head: str) -> None:
    graph = exported(head)
    tokens = node(graph, f"{LAST}.attention/Softmax").outputs[0].shape[3]
    run(graph, NAME)
    softmax = node(graph, f"{LAST}.attention/Softmax").outputs[0]
    assert tuple(softmax.shape[2:]) == (1, tokens)
    for name in ("sa_layer_norm", "output_layer_norm"):
        assert node(graph, f"{LAST}.{name}/LayerNormalization").outputs[0].shape[1] == 1
    for name in ("k_lin", "v_lin"):
        assert node(graph, f"{LAST}.attention.{name}/Add").outputs[0].shape[1] == tokens
    for layer in range(LAYERS - 1):
        softmax = node(graph, f"distilbert.transformer.layer.{layer}.attention/Softmax").outputs[0]
        assert tuple(softmax.shape[2:]) == (tokens, tokens)


@every_head
def test_again_changes_nothing_and_names_stay_unique(head: str) -> None:
    graph = exported(head)
    run(graph, NAME)
    assert_names_are_unique_and_paths(graph)
    names = [candidate.name for candidate in graph.graph]
    assert apply_freely(graph, NAME).rewrites == 0
    assert [candidate.name for candidate in graph.graph] == names


def test_mask_and_attention_with_one_query_and_no_expanded_mask_where_one_layer_is_all() -> None:
    before, after = exported(n_layers=1), exported(n_layers=1)
    assert run(after, NAME, "attention_mha") == [1, 1]
    assert "Expand" not in operators(after)
    (attention,) = (candidate for candidate in after.graph if candidate.op_type == "MultiHeadAttention")
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
    with_attention = after.clone()
    run(with_attention, "attention_mha", "flatten_tokens")
    assert_same(before, with_attention, feeds)
    others = feeds | {"attention_mask": np.ones((3, 9, 9), dtype=np.int64)}
    assert np.abs(answer(after, feeds)[0] - answer(after, others)[0]).max() > 1e-3


def first_of_tokens(graph: Graph) -> Graph:
    """The graph of a head that reads all tokens, which then gives the first token's answer alone."""
    product = node(graph, "classifier/MatMul")
    hidden = product.inputs[0]
    insertion = Insertion.before(graph, product)
    first = insertion.constant(np.array(0))
    chosen = insertion.add(
        "Gather", [hidden, first], attributes={"axis": 1}, shape=[hidden.shape[0], hidden.shape[2]]
    )
    product.replace_input_with(0, chosen)
    for name in ("classifier/MatMul", "classifier/Add"):
        value = node(graph, name).outputs[0]
        value.shape = onnx_ir.Shape([value.shape[0], value.shape[2]])
    graph_file.check(graph)
    return graph


def read_by_another(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{LAST}.output_layer_norm/LayerNormalization").outputs[0])


def an_output_of_the_graph(graph: Graph) -> None:
    graph.graph.outputs.append(node(graph, f"{LAST}.output_layer_norm/LayerNormalization").outputs[0])


def another_token(graph: Graph) -> None:
    second = shared_constant(graph, np.array(1))
    node(graph, "sequence_classification/Gather").replace_input_with(1, second)


def a_list_of_tokens(graph: Graph) -> None:
    gather, reader = node(graph, "sequence_classification/Gather"), node(graph, "pre_classifier/Gemm")
    gather.replace_input_with(1, shared_constant(graph, np.array([0])))
    chosen = gather.outputs[0]
    batch, channels = chosen.shape
    chosen.shape = onnx_ir.Shape([batch, 1, channels])
    insertion = Insertion.before(graph, reader, module="extra")
    reader.replace_input_with(
        0, insertion.add("Squeeze", [chosen, insertion.sizes(1)], shape=[batch, channels])
    )


def softmax_over_queries(graph: Graph) -> None:
    node(graph, f"{LAST}.attention/Softmax").attributes["axis"] = onnx_ir.AttrInt64("axis", 2)


def norm_over_tokens(graph: Graph) -> None:
    norm = node(graph, f"{LAST}.sa_layer_norm/LayerNormalization")
    norm.op_type, norm.attributes["axis"] = "Softmax", onnx_ir.AttrInt64("axis", 1)
    for name in ("epsilon", "stash_type"):
        norm.attributes.pop(name, None)
    norm.resize_inputs(1)


REFUSED: dict[Fault, str] = {
    read_by_another: "others read all tokens",
    an_output_of_the_graph: "others read all tokens",
    another_token: "nothing looked like its pattern",
    a_list_of_tokens: "nothing looked like its pattern",
    softmax_over_queries: "Softmax needs all tokens along axis 2",
    norm_over_tokens: "Softmax needs all tokens along axis 1",
}


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.__name__)
def test_refuses_what_needs_other_tokens(fault: Fault) -> None:
    graph = exported()
    fault(graph)
    before = graph.clone()
    with pytest.raises(
        ContractError, match=rf"{NAME} matched 0 times, must match at least 1 times.*{REFUSED[fault]}"
    ):
        run(graph, NAME)
    assert operators(graph) == operators(before)
    assert_same(before, graph, ragged((3, 7)))


@pytest.mark.parametrize("head", ["features", "masked_lm", "question_answering", "token_classification"])
def test_a_head_that_reads_all_tokens_is_refused_by_name(head: str) -> None:
    graph = exported(head)
    with pytest.raises(ContractError, match=f"{NAME} matched 0 times"):
        run(graph, NAME)
    assert operators(graph) == operators(exported(head))


def test_scores_that_are_an_output_keep_all_their_queries() -> None:
    graph = exported()
    graph.graph.outputs.append(node(graph, f"{LAST}.attention/MatMul").outputs[0])
    before = graph.clone()
    apply_freely(graph, NAME)
    assert_same(before, graph, ragged((3, 7)))


def test_a_term_that_is_not_computed_is_refused_and_nothing_is_changed() -> None:
    graph = exported()
    # Sizes have the same names, so this constant of all tokens takes part in the residual sum
    add = node(graph, f"{LAST}/Add")
    assert not isinstance(add.outputs[0].shape[1], int)
    add.replace_input_with(1, shared_constant(graph, np.ones((1, 7, 32), dtype=np.float32)))
    before = graph.clone()
    result = registry.find(NAME).run(graph)
    assert result.rewrites == 0
    assert any("input 1 is not computed" in reason for reason in result.refusals)
    assert operators(graph) == operators(before)
