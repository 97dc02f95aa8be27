"""The three forms of attention: pairwise masks, and graphs that look alike and are not."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
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
    refused,
    run,
)

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
    made = pairwise()
    with pytest.raises(ContractError, match=r"attention_mha_flash matched 0 times.*a row for each query"):
        run(made, "attention_mha_flash")
    assert operators(made) == operators(pairwise())


@every_form
def test_the_mask_is_prepared_once_for_all_layers(name: str) -> None:
    made = exported()
    run(made, name)
    assert operators(made)["Expand"] == 1


def test_flash_has_no_mask_and_the_scale_of_the_narrow_heads() -> None:
    made = exported()
    run(made, "attention_mha_flash")
    for each in made.graph:
        if each.op_type == "MultiHeadAttention":
            assert len(each.inputs) == 3
            assert each.attributes.get_float("scale") == pytest.approx(8**-0.5)
            assert each.inputs[0].shape[2] == 4 * 9
            assert each.inputs[2].shape[2] == 4 * 8


def test_onnx_raises_the_opset_with_its_file_format() -> None:
    made = exported()
    run(made, "attention_onnx")
    assert made.opset_imports[""] == 23
    assert made.ir_version >= 11
    assert operators(made)["Attention"] == LAYERS


def softmax_over_queries(made: graph_file.Graph) -> None:
    node(made, f"{ATTENTION}/Softmax").attributes["axis"] = onnx_ir.AttrInt64("axis", 2)


def scores_that_something_else_reads(made: graph_file.Graph) -> None:
    value = node(made, f"{ATTENTION}/MatMul").outputs[0]
    extra = onnx_ir.node("Identity", [value], name="extra/Identity")
    extra.outputs[0].name, extra.outputs[0].shape, extra.outputs[0].type = "extra", value.shape, value.type
    made.graph.append(extra)
    made.graph.outputs.append(extra.outputs[0])


def divided_by_a_vector(made: graph_file.Graph) -> None:
    node(made, f"{ATTENTION}/Div").replace_input_with(1, constant(made, np.full(8, 2.5, dtype=np.float32)))


def other_keys_order(made: graph_file.Graph) -> None:
    for name in ("Transpose", "Transpose_1", "Transpose_3"):
        node(made, f"{ATTENTION}/{name}").attributes["perm"] = onnx_ir.AttrInt64s("perm", (0, 2, 1, 3))
    node(made, f"{ATTENTION}/MatMul_1").replace_input_with(0, node(made, f"{ATTENTION}/Add").outputs[0])


def a_mask_for_each_head(made: graph_file.Graph) -> None:
    add = node(made, f"{ATTENTION}/Add")
    sizes = constant(made, np.array([1, 4, 1, 1], dtype=np.int64))
    mask = add.inputs[1]
    expand = onnx_ir.node("Expand", [mask, sizes], name="extra/Expand")
    expand.outputs[0].name, expand.outputs[0].type = "extra", mask.type
    expand.outputs[0].shape = onnx_ir.Shape([mask.shape[0], 4, 1, mask.shape[3]])
    made.graph.insert_before(add, expand)
    add.replace_input_with(1, expand.outputs[0])


FAULTS = {
    softmax_over_queries: "Attribute axis mismatch",
    scores_that_something_else_reads: "other uses",
    divided_by_a_vector: "not divided by one positive constant",
    other_keys_order: "expected Softmax, got Add",
    a_mask_for_each_head: r"the additive mask extra has shape \[batch,4,1,sequence\]",
}


@every_form
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_refuses_what_is_no_such_attention(fault, name: str) -> None:
    made = exported()
    fault(made)
    before = made.clone()
    applied = refused(made, name)
    assert applied.rewrites == LAYERS - 1
    assert any(ATTENTION in reason or "extra" in reason for reason in applied.refusals)
    with pytest.raises(
        ContractError, match=rf"{name} matched 1 times, must match at least 2 times.*{FAULTS[fault]}"
    ):
        run(before, name)


@every_form
def test_a_graph_with_a_fault_in_one_layer_keeps_its_answers(name: str) -> None:
    made = exported()
    softmax_over_queries(made)
    before = made.clone()
    refused(made, name)
    assert_same(before, made, ragged((3, 7)))


@every_form
def test_the_mask_is_added_to_the_scaled_scores(name: str) -> None:
    before = exported()
    penalty = node(before, "distilbert/Mul")
    # so small that a wrong factor shows, which -10000 would hide
    penalty.replace_input_with(1, constant(before, np.array(-1.5, dtype=np.float32)))
    after = before.clone()
    run(after, name)
    assert_same(before, after, ragged((3, 7)))
