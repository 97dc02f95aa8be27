"""The three forms of attention: pairwise masks, and graphs that look alike and are not."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph.builder import Insertion, shared_constant
from pipeline.graph.file import Graph
from tests.graphs import LAYERS, add_reader, answer, exported, node, operators, pairwise, ragged
from tests.unit.pipeline.passes.checks import Fault, apply_freely, assert_same, run

FORMS = ("attention_mha", "attention_mha_flash", "attention_onnx")
ATTENTION = "distilbert.transformer.layer.1.attention"
every_form = pytest.mark.parametrize("name", FORMS)


@pytest.mark.parametrize("name", ["attention_mha", "attention_onnx"])
def test_pairwise_masks(name: str) -> None:
    before, after = pairwise(), pairwise()
    assert run(after, name) == [LAYERS]
    assert "Expand" not in operators(after)
    feeds = ragged((3, 9))
    texts = np.array([[0] * 9, [0, 0, 0, 1, 1, 1, 1, 2, 2], [0, 1, 1, 2, 2, 2, 3, 3, 3]])
    feeds["attention_mask"] = (texts[:, :, None] == texts[:, None, :]).astype(np.int64)
    assert_same(before, after, feeds)
    everything = feeds | {"attention_mask": np.ones((3, 9, 9), dtype=np.int64)}
    assert np.abs(answer(after, feeds)[0] - answer(after, everything)[0]).max() > 1e-3


def test_flash_refuses_a_pairwise_mask_with_the_reason() -> None:
    graph = pairwise()
    with pytest.raises(ContractError, match=r"attention_mha_flash matched 0 times.*a row for each query"):
        run(graph, "attention_mha_flash")
    assert operators(graph) == operators(pairwise())


@every_form
def test_the_mask_is_prepared_once_for_all_layers(name: str) -> None:
    graph = exported()
    run(graph, name)
    assert operators(graph)["Expand"] == 1


def test_flash_has_no_mask_and_the_scale_of_the_narrow_heads() -> None:
    graph = exported()
    run(graph, "attention_mha_flash")
    attentions = [candidate for candidate in graph.graph if candidate.op_type == "MultiHeadAttention"]
    assert len(attentions) == LAYERS
    for attention in attentions:
        assert len(attention.inputs) == 3
        assert attention.attributes.get_float("scale") == pytest.approx(8**-0.5)
        assert attention.inputs[0].shape[2] == 4 * 9
        assert attention.inputs[2].shape[2] == 4 * 8


def test_onnx_raises_the_opset_with_its_file_format() -> None:
    graph = exported()
    run(graph, "attention_onnx")
    assert graph.opset_imports[""] == 23
    assert graph.ir_version >= 11
    assert operators(graph)["Attention"] == LAYERS


def test_onnx_refuses_a_graph_with_an_operator_that_the_opset_changes() -> None:
    graph = exported()
    # Opset 21 gave these an attribute more
    reader = node(graph, f"{ATTENTION}/Softmax")
    scale, zero = (
        shared_constant(graph, np.array(number, dtype))
        for number, dtype in ((0.1, np.float32), (0, np.uint8))
    )
    insertion = Insertion.before(graph, reader)
    scores = reader.inputs[0]
    numbers = insertion.add(
        "QuantizeLinear", [scores, scale, zero], shape=scores.shape, dtype=onnx_ir.DataType.UINT8
    )
    reader.replace_input_with(
        0, insertion.add("DequantizeLinear", [numbers, scale, zero], shape=scores.shape)
    )
    with pytest.raises(
        ContractError,
        match=r"attention_onnx matched 0 times.*opset 23 changes DequantizeLinear, QuantizeLinear",
    ):
        run(graph, "attention_onnx")
    assert graph.opset_imports[""] < 23


def softmax_over_queries(graph: Graph) -> None:
    node(graph, f"{ATTENTION}/Softmax").attributes["axis"] = onnx_ir.AttrInt64("axis", 2)


def scores_that_something_else_reads(graph: Graph) -> None:
    add_reader(graph, node(graph, f"{ATTENTION}/MatMul").outputs[0])


def divided_by_a_vector(graph: Graph) -> None:
    vector = shared_constant(graph, np.full(8, 2.5, dtype=np.float32))
    node(graph, f"{ATTENTION}/Div").replace_input_with(1, vector)


def other_keys_order(graph: Graph) -> None:
    for name in ("Transpose", "Transpose_1", "Transpose_3"):
        node(graph, f"{ATTENTION}/{name}").attributes["perm"] = onnx_ir.AttrInt64s("perm", (0, 2, 1, 3))
    node(graph, f"{ATTENTION}/MatMul_1").replace_input_with(0, node(graph, f"{ATTENTION}/Add").outputs[0])


def a_mask_for_each_head(graph: Graph) -> None:
    add = node(graph, f"{ATTENTION}/Add")
    mask = add.inputs[1]
    insertion = Insertion.before(graph, add, module="extra")
    shape = [mask.shape[0], 4, 1, mask.shape[3]]
    add.replace_input_with(1, insertion.add("Expand", [mask, insertion.sizes(1, 4, 1, 1)], shape=shape))


FAULTS: dict[Fault, str] = {
    softmax_over_queries: "Attribute axis mismatch",
    scores_that_something_else_reads: "other uses",
    divided_by_a_vector: "not divided by one positive constant",
    other_keys_order: "expected Softmax, got Add",
    a_mask_for_each_head: r"the additive mask extra/Expand_output_0 has shape \[batch,4,1,sequence\]",
}


@every_form
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_what_is_not_such_an_attention(fault: Fault, name: str) -> None:
    graph = exported()
    fault(graph)
    before = graph.clone()
    result = apply_freely(graph, name)
    assert result.rewrites == LAYERS - 1
    assert any(ATTENTION in reason or "extra" in reason for reason in result.refusals)
    with pytest.raises(
        ContractError, match=rf"{name} matched 1 times, must match at least 2 times.*{FAULTS[fault]}"
    ):
        run(before, name)


@every_form
def test_a_graph_with_a_fault_in_one_layer_keeps_its_answers(name: str) -> None:
    graph = exported()
    softmax_over_queries(graph)
    before = graph.clone()
    apply_freely(graph, name)
    assert_same(before, graph, ragged((3, 7)))


@every_form
def test_the_mask_is_added_to_the_scaled_scores(name: str) -> None:
    before = exported()
    # so small that a wrong factor shows, which -10000 would hide
    penalty = shared_constant(before, np.array(-1.5, dtype=np.float32))
    node(before, "distilbert/Mul").replace_input_with(1, penalty)
    after = before.clone()
    run(after, name)
    assert_same(before, after, ragged((3, 7)))
