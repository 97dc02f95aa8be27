"""Graphs that the other fusions must leave as they are, and details that they must carry over."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.builder import initializer
from pipeline.passes.matching.rewriting import constant, describe
from tests.unit.pipeline.passes.graphs import (
    LAYERS,
    answer,
    assert_same,
    exported,
    node,
    operators,
    optimized,
    ragged,
    refused,
    run,
)

LAYER = "distilbert.transformer.layer.1"


def also_an_output(made: graph_file.Graph, name: str) -> None:
    """Let the graph give out what node `name` computes."""
    value = node(made, name).outputs[0]
    extra = onnx_ir.node("Identity", [value], name="extra/Identity")
    describe(extra.outputs[0], value.shape, value.dtype)
    made.graph.append(extra)
    made.graph.outputs.append(extra.outputs[0])


def wide_bias(made: graph_file.Graph, name: str) -> None:
    """Replace the bias that node `name` adds by one with an axis more, which is another operator's business."""
    each = node(made, name)
    bias = each.inputs[1].const_value.numpy()[None, :]
    each.replace_input_with(1, initializer(made, "wide.bias", bias))


def expect_refusal(made: graph_file.Graph, name: str, rewrites: int, reason: str) -> None:
    before = made.clone()
    assert refused(made, name).rewrites == rewrites
    assert_same(before, made, ragged((3, 7)))
    with pytest.raises(ContractError, match=rf"{name} matched {rewrites} times.*{reason}"):
        run(before, name)


def test_packed_qkv_packs_in_order_and_drops_the_parts() -> None:
    made = exported()
    run(made, "packed_qkv")
    weight = made.graph.initializers[f"{LAYER}.attention.qkv_lin.weight"].const_value.numpy()
    bias = made.graph.initializers[f"{LAYER}.attention.qkv_lin.bias"].const_value.numpy()
    parts = exported().graph.initializers
    for index, letter in enumerate("qkv"):
        columns = slice(32 * index, 32 * (index + 1))
        assert np.array_equal(
            weight[:, columns], parts[f"{LAYER}.attention.{letter}_lin.weight"].const_value.numpy()
        )
        assert np.array_equal(
            bias[columns], parts[f"{LAYER}.attention.{letter}_lin.bias"].const_value.numpy()
        )
        assert f"{LAYER}.attention.{letter}_lin.weight" not in made.graph.initializers
    assert node(made, f"{LAYER}.attention.qkv_lin/MatMul")


def test_packed_qkv_refuses_a_bias_of_another_shape() -> None:
    made = exported()
    wide_bias(made, f"{LAYER}.attention.k_lin/Add")
    expect_refusal(made, "packed_qkv", LAYERS - 1, r"wide\.bias has shape \(1, 32\)")


def test_packed_qkv_refuses_a_product_that_something_else_reads() -> None:
    made = exported()
    also_an_output(made, f"{LAYER}.attention.v_lin/MatMul")
    expect_refusal(made, "packed_qkv", LAYERS - 1, "2 linear layers")


def test_packed_qkv_refuses_projections_of_different_inputs() -> None:
    made = exported()
    # its keys come from the layer before, as in cross attention
    node(made, f"{LAYER}.attention.k_lin/MatMul").replace_input_with(
        0, node(made, "distilbert.embeddings.LayerNorm/LayerNormalization").outputs[0]
    )
    before = made.clone()
    # four linear layers then read the embeddings, and two the layer before
    assert refused(made, "packed_qkv").rewrites == 0
    assert_same(before, made, ragged((3, 7)))


def test_packed_qkv_refuses_a_weight_that_is_shared() -> None:
    made = exported()
    shared = made.graph.initializers[f"{LAYER}.attention.q_lin.weight"]
    node(made, f"{LAYER}.attention.v_lin/MatMul").replace_input_with(1, shared)
    expect_refusal(made, "packed_qkv", LAYERS - 1, "no matrix of its own")


def test_skip_layer_norm_carries_the_epsilon_over() -> None:
    before = exported()
    for each in before.graph:
        if each.op_type == "LayerNormalization":
            each.attributes["epsilon"] = onnx_ir.AttrFloat32("epsilon", 0.5)
    after = before.clone()
    run(after, "skip_layer_norm")
    found = [each for each in after.graph if each.op_type == "SkipLayerNormalization"]
    assert {each.attributes.get_float("epsilon") for each in found} == {0.5}
    assert_same(before, after, ragged((3, 7)))


def test_embeddings_carry_the_epsilon_over() -> None:
    before = exported()
    node(before, "distilbert.embeddings.LayerNorm/LayerNormalization").attributes["epsilon"] = (
        onnx_ir.AttrFloat32("epsilon", 0.5)
    )
    after = before.clone()
    run(after, "embeddings")
    assert_same(before, after, ragged((3, 7)))


def test_skip_layer_norm_refuses_a_sum_that_something_else_reads() -> None:
    made = exported()
    also_an_output(made, f"{LAYER}/Add")
    expect_refusal(made, "skip_layer_norm", 2 * LAYERS - 1, "other uses")


def test_skip_layer_norm_refuses_another_axis() -> None:
    made = exported()
    norm = node(made, f"{LAYER}.sa_layer_norm/LayerNormalization")
    norm.attributes["axis"] = onnx_ir.AttrInt64("axis", 1)
    with pytest.raises(ContractError, match=r"skip_layer_norm matched 3 times.*normalizes from axis 1 on"):
        run(made, "skip_layer_norm")


def test_skip_layer_norm_refuses_a_sum_that_broadcasts() -> None:
    made = exported()
    assert run(made, "skip_layer_norm") == [2 * LAYERS]
    # positions are added to every text alike
    assert node(made, "distilbert.embeddings.LayerNorm/LayerNormalization")


def test_bias_gelu_refuses_a_bias_of_another_shape() -> None:
    made = exported()
    wide_bias(made, f"{LAYER}.ffn.lin1/Add")
    expect_refusal(made, "bias_gelu", LAYERS - 1, r"of shape \(1, 64\)")


def test_bias_gelu_refuses_the_tanh_approximation() -> None:
    made = exported()
    node(made, f"{LAYER}.ffn/Gelu").attributes["approximate"] = onnx_ir.AttrString("approximate", "tanh")
    expect_refusal(made, "bias_gelu", LAYERS - 1, "tanh approximation")


def test_bias_gelu_refuses_a_sum_that_something_else_reads() -> None:
    made = exported()
    also_an_output(made, f"{LAYER}.ffn.lin1/Add")
    expect_refusal(made, "bias_gelu", LAYERS - 1, "other uses")


def test_embeddings_hand_over_positions_that_are_given() -> None:
    before = exported("token_classification")
    positions = onnx_ir.Value(
        name="position_ids",
        shape=before.graph.inputs[0].shape,
        type=onnx_ir.TensorType(onnx_ir.DataType.INT64),
    )
    before.graph.inputs.append(positions)
    gather = node(before, "distilbert.embeddings.position_embeddings/Gather")
    gather.replace_input_with(1, positions)
    gather.outputs[0].shape = node(before, "distilbert.embeddings.word_embeddings/Gather").outputs[0].shape
    after = before.clone()
    run(after, "embeddings")
    feeds = ragged((2, 6))
    feeds["position_ids"] = np.array([[0, 1, 0, 1, 2, 0], [5, 4, 3, 2, 1, 0]])
    assert_same(before, after, feeds)


def test_embeddings_refuse_positions_that_do_not_count_from_zero() -> None:
    made = exported()
    range_node = node(made, "distilbert.embeddings/Range")
    range_node.replace_input_with(0, constant(made, np.array(2, dtype=np.int64)))
    with pytest.raises(ContractError, match=r"embeddings matched 0 times.*neither count from 0"):
        run(made, "embeddings")


def test_transposes_that_cancel_go() -> None:
    made = exported()
    norm = node(made, f"{LAYER}.output_layer_norm/LayerNormalization")
    value = norm.outputs[0]
    users = list(value.uses())
    there = onnx_ir.node("Transpose", [value], {"perm": [2, 0, 1]}, name="extra/there")
    back = onnx_ir.node("Transpose", [there.outputs[0]], {"perm": [1, 2, 0]}, name="extra/back")
    batch, tokens, hidden = value.shape
    describe(there.outputs[0], [hidden, batch, tokens], value.dtype)
    describe(back.outputs[0], value.shape, value.dtype)
    made.graph.insert_after(norm, [there, back])
    for user, index in users:
        user.replace_input_with(index, back.outputs[0])
    before = made.clone()
    assert run(made, "transposes") == [1]
    assert operators(made) == operators(exported())
    assert_same(before, made, ragged((3, 7)))


def test_transposes_keep_one_of_activations() -> None:
    made = exported()
    count = operators(made)["Transpose"]
    run(made, "transposes")
    assert operators(made)["Transpose"] == count


def test_a_tied_weight_stays_one() -> None:
    made = exported("masked_lm")
    run(made, "transposes")
    users = made.graph.initializers["distilbert.embeddings.word_embeddings.weight"].uses()
    assert sorted(user.op_type for user, _ in users) == ["FusedMatMul", "Gather"]


def test_constants_are_folded_and_shared_and_weights_kept_apart() -> None:
    made = exported()
    names = {name for name in made.graph.initializers if not name.startswith("constant_")}
    div = node(made, f"{LAYER}.attention/Div")
    halves = [initializer(made, f"constant_9{index}", np.array(8**0.5 / 2, np.float32)) for index in (1, 2)]
    total = onnx_ir.node("Add", halves, name="extra/Add")
    describe(total.outputs[0], [], onnx_ir.DataType.FLOAT)
    made.graph.insert_before(div, total)
    div.replace_input_with(1, total.outputs[0])
    before = made.clone()
    assert run(made, "constants")[0] >= 2
    assert {name for name in made.graph.initializers if not name.startswith("constant_")} == names
    assert operators(made) == operators(exported())
    assert_same(before, made, ragged((3, 7)))


def test_default_sessions_fuse_layer_norms_and_flat_tokens_keep_them_apart() -> None:
    assert optimized(exported())["SkipLayerNormalization"] == 2 * LAYERS
    made = exported()
    run(made, "packed_qkv", "attention_mha", "flatten_tokens")
    found = optimized(made)
    assert found["SkipLayerNormalization"] == 0
    assert found["LayerNormalization"] == 2 * LAYERS + 1
    assert found["BiasGelu"] == 0


def test_flatten_tokens_leaves_a_layer_norm_over_tokens() -> None:
    made = exported()
    norm = node(made, f"{LAYER}.sa_layer_norm/LayerNormalization")
    norm.attributes["axis"] = onnx_ir.AttrInt64("axis", 2)
    before = made.clone()
    applied = refused(made, "flatten_tokens")
    assert applied.rewrites == 2 * LAYERS
    assert any(
        "sa_layer_norm/LayerNormalization: LayerNormalization here mixes" in each for each in applied.refusals
    )
    assert_same(before, made, ragged((3, 7)))


def test_flatten_tokens_keeps_the_outputs_names_and_axes() -> None:
    made = exported("features")
    run(made, "flatten_tokens")
    assert graph_file.describe(made.graph.outputs[0]).shape == ("batch", "sequence", 32)
    assert made.graph.outputs[0].name == "last_hidden_state"
    assert answer(made, ragged((2, 5)))[0].shape == (2, 5, 32)
