"""Attention's two products in 8 bits: what is quantized, the limits of 7 bits, and the arithmetic by hand."""

from collections.abc import Sequence

import numpy as np
import onnx_ir
import onnxruntime
import pytest

from pipeline.errors import ContractError, UsageError
from pipeline.graph.builder import constant
from pipeline.graph.file import Graph, check
from pipeline.passes import base, registry
from pipeline.precision import Feeds, TransformResult
from pipeline.precision.ranges import observe
from pipeline.precision.ranges.methods import integer_range
from tests.graphs import LAYERS, answer, exported, feeds, relative_error
from tests.unit.pipeline.precision import quantized
from tests.unit.pipeline.precision.quantized import HEAD, Array, array, change_weight, linears, node_named

LAST = "distilbert.transformer.layer.1.attention"
HEADS = (HEAD, "token_classification", "multiple_choice")
# With 7 bits, whose products are exact on every CPU, relative errors are 0.045 at most
TOLERANCE = 0.1


def fused(head: str = HEAD, *names: str) -> Graph:
    """The graph of `head` after the passes that a preset applies before the scheme, and `names`."""
    graph = exported(head)
    base.apply(graph, [registry.find(name) for name in ("attention_scale", "flatten_tokens", *names)])
    return graph


def quantize(graph: Graph, head: str = HEAD, **changes: object) -> TransformResult:
    return quantized.quantize(graph, "int8_static", head, quantize_attention=True, **changes)


def lower(graph: Graph, *names: str) -> list[int]:
    return [
        record.rewrites
        for record in base.apply(graph, [registry.find(name) for name in ("integer_matmul", *names)])
    ]


def values(graph: Graph, inputs: Feeds, wanted: Sequence[onnx_ir.Value]) -> list[Array]:
    """What `wanted` hold, without ONNX Runtime's own rewrites."""
    clone = graph.clone()
    by_name = {value.name: value for node in clone.graph for value in node.outputs}
    names = [str(value.name) for value in wanted]
    for name in names:
        if not by_name[name].is_graph_output():
            clone.graph.outputs.append(by_name[name])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = onnx_ir.to_proto(clone).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    arrays: list[Array] = session.run(names, dict(inputs))
    return arrays


@pytest.mark.parametrize("head", HEADS)
def test_both_products_read_8_bit_numbers_and_answers_stay_near(head: str) -> None:
    graph, inputs = fused(head), feeds(head, 3, 9, seed=50)
    inputs["attention_mask"][0] = 0
    expected = answer(graph, inputs)
    done = {record.name: record.rewrites for record in quantize(graph, head, weight_bits=7).passes}
    assert done == {"int8_embeddings": 2, "int8_attention": LAYERS, "int8_static": linears(head)}
    check(graph)
    products = [node for node in graph.graph if node.op_type == "MatMul"]
    for node in products:
        assert [value.producer().op_type for value in node.inputs] == ["DequantizeLinear"] * 2
    for actual, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert np.isfinite(actual).all()
        assert relative_error(actual[1:], wanted[1:]) < TOLERANCE


def test_softmax_and_mask_stay_in_floating_point() -> None:
    graph = fused()
    quantize(graph)
    softmaxes = [node for node in graph.graph if node.op_type == "Softmax"]
    assert len(softmaxes) == LAYERS
    for softmax in softmaxes:
        masked = softmax.inputs[0].producer()
        assert masked.op_type == "Add"
        assert masked.inputs[0].producer().op_type == "MatMul"
        for value in (*masked.inputs, *masked.outputs, *softmax.outputs):
            assert value.dtype == onnx_ir.DataType.FLOAT
    integers = (onnx_ir.DataType.INT8, onnx_ir.DataType.UINT8)
    makers = {node.op_type for node in graph.graph if node.outputs[0].dtype in integers}
    assert makers <= {"QuantizeLinear", "Reshape", "Transpose", "Gather"}


def test_queries_and_weights_are_unsigned_keys_and_values_signed_about_zero() -> None:
    graph = fused()
    quantize(graph)
    for kind, dtype in (("query", "uint8"), ("weights", "uint8"), ("key", "int8"), ("value", "int8")):
        zero = array(graph, f"{LAST}.{kind}_zero_point")
        assert zero.dtype == dtype
        assert zero.shape == ()
        assert kind == "query" or zero == 0
    # A softmax lies between 0 and 1 whatever the calibration data
    assert array(graph, f"{LAST}.weights_scale") == np.float32(1 / 255)


@pytest.mark.parametrize("head", [HEAD, "multiple_choice"])
def test_one_query_of_the_last_layer(head: str) -> None:
    graph, inputs = fused(head, "first_token"), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    quantize(graph, head, weight_bits=7)
    assert lower(graph, "mask_where_needed") == [2 * LAYERS + linears(head), LAYERS]
    # The scores' product of each layer is in both branches of its If
    products = [node for node in graph.graph.all_nodes() if node.domain == "com.microsoft"]
    assert len(products) == 3 * LAYERS + linears(head)
    for node in graph.graph:
        for branch, added in (("then_branch", []), ("else_branch", ["Add"])):
            if node.op_type == "If":
                moved = [inner.op_type for inner in node.attributes[branch].as_graph()]
                assert moved == ["MatMulIntegerToFloat", *added, "Softmax", "QuantizeLinear"]
    assert relative_error(answer(graph, inputs)[0], expected[0]) < TOLERANCE


@pytest.mark.parametrize("head", [HEAD, "multiple_choice"])
def test_one_query_in_place_of_the_keys_and_values_of_the_last_layer(head: str) -> None:
    graph, inputs = fused(head, "first_token", "single_query"), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    done = {record.name: record.rewrites for record in quantize(graph, head, weight_bits=7).passes}
    # All six weights of the last layer are in 8 bits, and its two products of activations are not
    assert done["int8_static"] == linears(head)
    assert done["int8_attention"] == LAYERS - 1
    for part in ("k_lin", "v_lin"):
        assert array(graph, f"{LAST}.{part}.weight_quantized").dtype == np.int8
        assert f"{LAST}.{part}.weight" not in graph.graph.initializers
    assert lower(graph, "mask_where_needed") == [2 * LAYERS - 2 + linears(head), LAYERS]
    check(graph)
    assert relative_error(answer(graph, inputs)[0], expected[0]) < TOLERANCE


def test_with_one_query_attention_still_has_to_be_found_in_every_other_layer() -> None:
    graph = fused(HEAD, "first_token", "single_query")
    graph.graph.outputs.append(
        node_named(graph, "distilbert.transformer.layer.0.attention/Transpose_2").outputs[0]
    )
    with pytest.raises(ContractError, match="int8_attention matched 0 times, must match at least 1 times"):
        quantize(graph)


@pytest.mark.parametrize("tokens", [4, 9])
def test_rows_of_heads_are_not_taken_for_tokens(tokens: int) -> None:
    """Of 4 heads and 4 tokens, a padded token must not hide a head from calibration."""
    graph = fused(HEAD, "first_token", "single_query")
    rows = node_named(graph, f"{LAST}/Reshape_queries").outputs[0]
    batch = feeds(HEAD, 3, tokens)
    batch["attention_mask"][:, 1:] = 0
    (queries,) = values(graph, batch, [rows])
    calibrated = observe.ranges(graph, [rows], lambda: [batch], "minmax", integer_range)[str(rows.name)]
    # Ranges always hold 0
    assert calibrated.low == pytest.approx(min(queries.min(), 0))
    assert calibrated.high == pytest.approx(max(queries.max(), 0))


def beyond(graph: Graph) -> None:
    """Let the keys and the values of the last layer leave the calibrated range in both directions."""
    for part in ("k_lin", "v_lin"):
        change_weight(graph, f"{LAST}.{part}.bias", lambda bias: bias * 200)
        bias = array(graph, f"{LAST}.{part}.bias")
        assert bias.min() < 0 < bias.max()


def key_and_value_numbers(graph: Graph) -> list[Array]:
    inputs = feeds(HEAD, 3, 9)
    quantized = [node_named(graph, f"{LAST}.{kind}/QuantizeLinear").outputs[0] for kind in ("key", "value")]
    return values(graph, inputs, quantized)


def test_keys_and_values_of_7_bits_keep_7_bits_beyond_the_calibrated_range() -> None:
    graph = fused()
    quantize(graph, weight_bits=7)
    beyond(graph)
    for numbers in key_and_value_numbers(graph):
        assert (numbers.min(), numbers.max()) == (-63, 63)
    # vpmaddubsw adds two products of an unsigned and a signed number in 16 bits
    assert np.iinfo(np.int16).max >= 2 * 255 * 63


def test_without_the_clip_they_would_not() -> None:
    graph = fused()
    quantize(graph, weight_bits=7)
    beyond(graph)
    for kind in ("key", "value"):
        clip = node_named(graph, f"{LAST}.{kind}/Clip")
        clip.outputs[0].replace_all_uses_with(clip.inputs[0])
    for numbers in key_and_value_numbers(graph):
        assert (numbers.min(), numbers.max()) == (-128, 127)


def test_with_bounded_pairs_keys_have_7_bits_and_values_8() -> None:
    graph = fused()
    quantize(graph, exact_pairs=True)
    beyond(graph)
    keys, numbers = key_and_value_numbers(graph)
    assert (keys.min(), keys.max()) == (-63, 63)
    assert (numbers.min(), numbers.max()) == (-128, 127)
    # Two numbers of a softmax sum to 255, and to 256 if both are rounded up
    assert np.iinfo(np.int16).max >= 256 * 127
    assert np.iinfo(np.int16).min <= -256 * 128


def test_8_bits_need_no_clip() -> None:
    graph = fused()
    quantize(graph)
    assert all(node.op_type != "Clip" for node in graph.graph)


@pytest.mark.parametrize("bits", [7, 8])
def test_the_lowered_products_are_those_that_q_dq_means_by_hand(bits: int) -> None:
    graph = fused()
    quantize(graph, weight_bits=bits)
    assert lower(graph)[0] == 8 * LAYERS + 2
    wanted = [
        node_named(graph, f"{LAST}.{kind}/QuantizeLinear").inputs[0]
        for kind in ("query", "key", "value", "weights")
    ]
    softmax = node_named(graph, f"{LAST}/Softmax")
    scores = softmax.inputs[0].producer().inputs[0]
    (context,) = (
        node.outputs[0]
        for node in graph.graph
        if node.op_type == "MatMulIntegerToFloat"
        and node.name.startswith(f"{LAST}/")
        and node.outputs[0] is not scores
    )
    query, key, value, weights, scores_array, context_array = values(
        graph, feeds(HEAD, 3, 9), [*wanted, scores, context]
    )

    def round_trip(values: Array, kind: str) -> Array:
        scale, zero = array(graph, f"{LAST}.{kind}_scale"), array(graph, f"{LAST}.{kind}_zero_point")
        limits = np.iinfo(zero.dtype)
        numbers = np.clip(np.rint(values / scale) + zero.astype(np.int64), limits.min, limits.max)
        return (numbers - zero.astype(np.int64)).astype(np.float64) * scale

    def heads(flat: Array) -> Array:
        return flat.reshape(3, 9, 4, 8).transpose(0, 2, 1, 3)

    # Rounding of float32 in sums of 8 and of 9 products
    by_hand = heads(round_trip(query, "query")) @ heads(round_trip(key, "key")).swapaxes(2, 3)
    np.testing.assert_allclose(scores_array, by_hand, rtol=1e-5, atol=1e-5)
    by_hand = round_trip(weights, "weights") @ heads(round_trip(value, "value"))
    np.testing.assert_allclose(context_array, by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("name", ["first_token", "single_query"])
def test_alone_in_a_batch_and_padded_a_text_gets_the_same_bits(name: str, masked: bool) -> None:
    graph = fused(HEAD, *dict.fromkeys(("first_token", name)))
    quantize(graph)
    lower(graph, "mask_where_needed")
    together = feeds(HEAD, 4, 12, seed=9)
    if not masked:
        together["attention_mask"][:] = 1
    alone = {name: numbers[2:3] for name, numbers in together.items()}
    padded = {name: np.pad(numbers, ((0, 0), (0, 9))) for name, numbers in alone.items()}
    expected = answer(graph, alone)[0][0]
    np.testing.assert_array_equal(answer(graph, together)[0][2], expected)
    np.testing.assert_array_equal(answer(graph, padded)[0][0], expected)


def test_an_excluded_attention_keeps_its_products_and_its_projections_are_chosen_apart() -> None:
    graph = fused()
    done = {record.name: record.rewrites for record in quantize(graph, exclude=(LAST,)).passes}
    assert done == {"int8_embeddings": 2, "int8_attention": LAYERS - 1, "int8_static": linears(HEAD)}
    graph = fused()
    done = {record.name: record.rewrites for record in quantize(graph, exclude=(f"{LAST}*",)).passes}
    assert done == {"int8_embeddings": 2, "int8_attention": LAYERS - 1, "int8_static": linears(HEAD) - 4}


def test_an_attention_cannot_be_excluded_that_nothing_quantizes() -> None:
    with pytest.raises(UsageError, match="unknown module"):
        quantized.quantize(fused(), "int8_static", exclude=(LAST,))


@pytest.mark.parametrize(
    ("name", "operator"), [("attention_mha", "MultiHeadAttention"), ("attention_onnx", "Attention")]
)
def test_an_attention_that_is_fused_already_is_an_error(name: str, operator: str) -> None:
    graph = exported()
    base.apply(graph, [registry.find(name)])
    reason = rf"matched 0 times, must match at least 2 times: .*is one {operator}, whose products cannot be"
    with pytest.raises(ContractError, match=f"stage quantize failed: int8_attention {reason}") as caught:
        quantize(graph)
    assert caught.value.hint.startswith("leave quantize_attention out of the plan")


def test_a_division_that_is_left_is_an_error_that_names_the_pass() -> None:
    with pytest.raises(ContractError, match=r"int8_attention matched 0 times.*apply attention_scale before"):
        quantize(exported())


def test_an_attention_whose_keys_something_else_reads_is_an_error() -> None:
    graph = fused()
    graph.graph.outputs.append(node_named(graph, f"{LAST}/Transpose_2").outputs[0])
    with pytest.raises(
        ContractError, match=rf"int8_attention matched 1 times.*{LAST}/Transpose_2.*several readers"
    ):
        quantize(graph)


def test_an_operand_that_is_not_a_projection_is_an_error() -> None:
    graph = fused()
    product = node_named(graph, f"{LAST}/MatMul_1")
    ones = constant(graph, "ones", np.ones((1, 4, 9, 8), dtype=np.float32))
    product.replace_input_with(1, ones)
    with pytest.raises(ContractError, match=r"int8_attention matched 1 times.*ones is not computed"):
        quantize(graph)
