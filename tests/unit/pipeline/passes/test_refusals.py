"""Graphs that the other passes must leave as they are, and details that they must carry over."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.builder import Insertion, initializer, shared_constant
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of
from tests.graphs import LAYERS, add_reader, answer, exported, node, operators, ragged
from tests.unit.pipeline.passes.checks import apply_freely, assert_same, optimized_operators, run

LAYER = "distilbert.transformer.layer.1"


def wide_bias(graph: Graph, name: str) -> None:
    """Replace the bias that node `name` adds by one with an axis more, which the fused operators do not read."""
    add = node(graph, name)
    add.replace_input_with(1, initializer(graph, "wide.bias", array_of(add.inputs[1])[None, :]))


def expect_refusal(graph: Graph, name: str, rewrites: int, reason: str) -> None:
    before = graph.clone()
    assert apply_freely(graph, name).rewrites == rewrites
    assert_same(before, graph, ragged((3, 7)))
    with pytest.raises(ContractError, match=rf"{name} matched {rewrites} times.*{reason}"):
        run(before, name)


def test_packed_qkv_packs_in_order_and_drops_the_parts() -> None:
    graph = exported()
    run(graph, "packed_qkv")
    parts, packed = exported().graph.initializers, graph.graph.initializers
    for index, letter in enumerate("qkv"):
        columns = slice(32 * index, 32 * (index + 1))
        for kind in ("weight", "bias"):
            part = f"{LAYER}.attention.{letter}_lin.{kind}"
            whole = array_of(packed[f"{LAYER}.attention.qkv_lin.{kind}"])
            assert np.array_equal(whole[..., columns], array_of(parts[part]))
            assert part not in packed
    assert node(graph, f"{LAYER}.attention.qkv_lin/MatMul")


def test_packed_qkv_refuses_a_bias_of_another_shape() -> None:
    graph = exported()
    wide_bias(graph, f"{LAYER}.attention.k_lin/Add")
    expect_refusal(graph, "packed_qkv", LAYERS - 1, r"wide\.bias has shape \(1, 32\)")


def test_packed_qkv_refuses_a_product_that_something_else_reads() -> None:
    graph = exported()
    add_reader(graph, node(graph, f"{LAYER}.attention.v_lin/MatMul").outputs[0])
    expect_refusal(graph, "packed_qkv", LAYERS - 1, "2 linear layers")


def test_packed_qkv_refuses_projections_of_different_inputs() -> None:
    graph = exported()
    # its keys come from the layer before, as in cross attention
    node(graph, f"{LAYER}.attention.k_lin/MatMul").replace_input_with(
        0, node(graph, "distilbert.embeddings.LayerNorm/LayerNormalization").outputs[0]
    )
    before = graph.clone()
    # four linear layers then read the embeddings, and two the layer before
    assert apply_freely(graph, "packed_qkv").rewrites == 0
    assert_same(before, graph, ragged((3, 7)))


def test_packed_qkv_refuses_a_weight_that_is_shared() -> None:
    graph = exported()
    shared = graph.graph.initializers[f"{LAYER}.attention.q_lin.weight"]
    node(graph, f"{LAYER}.attention.v_lin/MatMul").replace_input_with(1, shared)
    expect_refusal(graph, "packed_qkv", LAYERS - 1, "not a matrix of its own")


def test_skip_layer_norm_carries_the_epsilon_over() -> None:
    before = exported()
    for candidate in before.graph:
        if candidate.op_type == "LayerNormalization":
            candidate.attributes["epsilon"] = onnx_ir.AttrFloat32("epsilon", 0.5)
    after = before.clone()
    run(after, "skip_layer_norm")
    norms = [candidate for candidate in after.graph if candidate.op_type == "SkipLayerNormalization"]
    assert {norm.attributes.get_float("epsilon") for norm in norms} == {0.5}
    assert_same(before, after, ragged((3, 7)))


@pytest.mark.parametrize("name", ["embeddings", "embedding_sum"])
def test_embeddings_carry_the_epsilon_over(name: str) -> None:
    before = exported()
    node(before, "distilbert.embeddings.LayerNorm/LayerNormalization").attributes["epsilon"] = (
        onnx_ir.AttrFloat32("epsilon", 0.5)
    )
    after = before.clone()
    run(after, name)
    assert_same(before, after, ragged((3, 7)))


def test_the_embeddings_sum_refuses_positions_of_several_texts() -> None:
    graph = exported()
    places = node(graph, "distilbert.embeddings.position_embeddings/Gather").outputs[0]
    words = node(graph, "distilbert.embeddings.word_embeddings/Gather").outputs[0]
    places.shape = words.shape
    expect_refusal(graph, "embedding_sum", 0, "must be that of one text")


def test_skip_layer_norm_refuses_a_sum_that_something_else_reads() -> None:
    graph = exported()
    add_reader(graph, node(graph, f"{LAYER}/Add").outputs[0])
    expect_refusal(graph, "skip_layer_norm", 2 * LAYERS - 1, "other uses")


def test_skip_layer_norm_refuses_another_axis() -> None:
    graph = exported()
    norm = node(graph, f"{LAYER}.sa_layer_norm/LayerNormalization")
    norm.attributes["axis"] = onnx_ir.AttrInt64("axis", 1)
    with pytest.raises(ContractError, match=r"skip_layer_norm matched 3 times.*normalizes from axis 1 on"):
        run(graph, "skip_layer_norm")


def test_skip_layer_norm_refuses_a_sum_that_broadcasts() -> None:
    graph = exported()
    assert run(graph, "skip_layer_norm") == [2 * LAYERS]
    # positions are added to every text alike
    assert node(graph, "distilbert.embeddings.LayerNorm/LayerNormalization")


def test_bias_gelu_refuses_a_bias_of_another_shape() -> None:
    graph = exported()
    wide_bias(graph, f"{LAYER}.ffn.lin1/Add")
    expect_refusal(graph, "bias_gelu", LAYERS - 1, r"of shape \(1, 64\)")


def test_bias_gelu_refuses_the_tanh_approximation() -> None:
    graph = exported()
    node(graph, f"{LAYER}.ffn/Gelu").attributes["approximate"] = onnx_ir.AttrString("approximate", "tanh")
    expect_refusal(graph, "bias_gelu", LAYERS - 1, "tanh approximation")


def test_bias_gelu_refuses_a_sum_that_something_else_reads() -> None:
    graph = exported()
    add_reader(graph, node(graph, f"{LAYER}.ffn.lin1/Add").outputs[0])
    expect_refusal(graph, "bias_gelu", LAYERS - 1, "other uses")


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
    graph = exported()
    range_node = node(graph, "distilbert.embeddings/Range")
    range_node.replace_input_with(0, shared_constant(graph, np.array(2, dtype=np.int64)))
    with pytest.raises(ContractError, match=r"embeddings matched 0 times.*neither count from 0"):
        run(graph, "embeddings")


def test_transposes_that_cancel_go() -> None:
    graph = exported()
    norm = node(graph, f"{LAYER}.output_layer_norm/LayerNormalization")
    value = norm.outputs[0]
    users = list(value.uses())
    batch, tokens, hidden = value.shape
    insertion = Insertion.after(graph, value, module="extra")
    there = insertion.add("Transpose", [value], attributes={"perm": [2, 0, 1]}, shape=[hidden, batch, tokens])
    back = insertion.add("Transpose", [there], attributes={"perm": [1, 2, 0]}, shape=value.shape)
    for user, index in users:
        user.replace_input_with(index, back)
    before = graph.clone()
    assert run(graph, "transposes") == [1]
    assert operators(graph) == operators(exported())
    assert_same(before, graph, ragged((3, 7)))


def test_transposes_keep_one_of_activations() -> None:
    graph = exported()
    count = operators(graph)["Transpose"]
    run(graph, "transposes")
    assert operators(graph)["Transpose"] == count


def test_a_tied_weight_stays_one() -> None:
    graph = exported("masked_lm")
    run(graph, "transposes")
    users = graph.graph.initializers["distilbert.embeddings.word_embeddings.weight"].uses()
    assert sorted(user.op_type for user, _ in users) == ["FusedMatMul", "Gather"]


def test_constants_are_folded_and_shared_and_weights_kept_apart() -> None:
    graph = exported()
    names = {name for name in graph.graph.initializers if not name.startswith("constant_")}
    div = node(graph, f"{LAYER}.attention/Div")
    halves = [initializer(graph, f"constant_9{index}", np.array(8**0.5 / 2, np.float32)) for index in (1, 2)]
    div.replace_input_with(1, Insertion.before(graph, div, module="extra").add("Add", halves, shape=[]))
    before = graph.clone()
    assert run(graph, "constants")[0] >= 2
    assert {name for name in graph.graph.initializers if not name.startswith("constant_")} == names
    assert operators(graph) == operators(exported())
    assert_same(before, graph, ragged((3, 7)))


def test_default_sessions_fuse_layer_norms_and_flat_tokens_keep_them_apart() -> None:
    assert optimized_operators(exported())["SkipLayerNormalization"] == 2 * LAYERS
    graph = exported()
    run(graph, "packed_qkv", "attention_mha", "flatten_tokens")
    counts = optimized_operators(graph)
    assert counts["SkipLayerNormalization"] == 0
    assert counts["LayerNormalization"] == 2 * LAYERS + 1
    assert counts["BiasGelu"] == 0


def test_flatten_tokens_leaves_a_layer_norm_over_tokens() -> None:
    graph = exported()
    norm = node(graph, f"{LAYER}.sa_layer_norm/LayerNormalization")
    norm.attributes["axis"] = onnx_ir.AttrInt64("axis", 2)
    before = graph.clone()
    result = apply_freely(graph, "flatten_tokens")
    assert result.rewrites == 2 * LAYERS
    reason = "sa_layer_norm/LayerNormalization: LayerNormalization combines tokens here"
    assert any(reason in refusal for refusal in result.refusals)
    assert_same(before, graph, ragged((3, 7)))


def test_flatten_tokens_keeps_the_outputs_names_and_axes() -> None:
    graph = exported("features")
    run(graph, "flatten_tokens")
    assert graph_file.describe(graph.graph.outputs[0]).shape == ("batch", "sequence", 32)
    assert graph.graph.outputs[0].name == "last_hidden_state"
    assert answer(graph, ragged((2, 5)))[0].shape == (2, 5, 32)
