"""Both integer schemes in fp32: what they quantize, what they leave alone, and that the answers stay near."""

from collections import Counter

import numpy as np
import onnx
import onnx_ir
import pytest
from distilforge.machine.exact_int8 import PRECISE

from model_src import heads
from pipeline.errors import StageError, UsageError
from pipeline.graph.file import Graph, check
from pipeline.passes import base, registry
from pipeline.precision import schemes
from pipeline.precision.layers import linear
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds, relative_error
from tests.unit.pipeline.precision.quantized import (
    HEAD,
    TIED,
    Array,
    array,
    change_weight,
    large_weights,
    linears,
    nodes,
    quantize,
    quantized,
)

STATIC, DYNAMIC = "int8_static", "int8_dynamic"
FLOAT, INT8 = onnx_ir.DataType.FLOAT, onnx_ir.DataType.INT8
FIRST = "distilbert.transformer.layer.0"
WORDS = "distilbert.embeddings.word_embeddings"

# Weights of 7 bits give relative errors of 0.08 at most on static scales, and of 0.15 on those of a padded batch. A
# weight of the feed-forward layer that is twice too large gives 0.22 to 0.60.
TOLERANCES = {STATIC: 0.1, DYNAMIC: 0.2}

every_scheme = pytest.mark.parametrize("scheme", [STATIC, DYNAMIC])


def float_weights(graph: Graph) -> set[str]:
    return {
        name
        for name, value in graph.graph.initializers.items()
        if value.dtype == FLOAT
        and value.shape is not None
        and value.shape.rank() == 2
        and "_row_scale" not in name
    }


@every_scheme
@pytest.mark.parametrize("head", heads.names())
def test_every_layer_and_table_of_every_head_is_quantized_and_answers_stay_near(
    head: str, scheme: str
) -> None:
    """With weights of 7 bits, whose products are exact on every CPU."""
    inputs = feeds(head, 3, 9, seed=50)
    made = quantized(scheme, head, weight_bits=7)
    assert made.counts == {"int8_embeddings": 2, scheme: linears(head)}
    assert linear.find(made.graph) == ()
    assert float_weights(made.graph) == set()
    check(made.graph)
    for actual, expected in zip(answer(made.graph, inputs), answer(exported(head), inputs), strict=True):
        assert actual.shape == expected.shape
        assert relative_error(actual, expected) < TOLERANCES[scheme]


@every_scheme
@pytest.mark.parametrize("head", [HEAD, TIED])
def test_answers_of_8_bit_weights_stay_near(head: str, scheme: str) -> None:
    inputs = feeds(head, 3, 9, seed=50)
    (expected,) = answer(exported(head), inputs)
    # Products that do not saturate: ONNX Runtime cannot load every graph of QuantizeLinear with its precise setting
    answers = answer(quantized(scheme, head).graph, inputs, optimized=scheme == DYNAMIC, entries=PRECISE)
    # Steps half as wide as those of 7 bits
    assert relative_error(answers[0], expected) < 0.1


@pytest.mark.parametrize("head", heads.names())
def test_products_of_bounded_pairs_need_no_setting_on_any_cpu(head: str) -> None:
    """Integer sums that are exact do not depend on the kernel: on a CPU without VNNI the setting changes it."""
    inputs = feeds(head, 3, 9, seed=50)
    graph = exported(head)
    base.apply(graph, [registry.find("attention_scale")])
    plan = Plan(scheme=STATIC, quantize_attention=True, exact_pairs=True)
    schemes.find(STATIC).run(graph, plan, calibration(head))
    base.apply(graph, [registry.find("integer_matmul")])
    precise = answer(graph, inputs, entries=PRECISE)
    for actual, wanted, expected in zip(
        answer(graph, inputs), precise, answer(exported(head), inputs), strict=True
    ):
        np.testing.assert_array_equal(actual, wanted)
        assert relative_error(actual, expected) < 0.1


@pytest.mark.parametrize("head", [HEAD, TIED])
def test_only_matrix_products_and_tables_read_8_bit_numbers(head: str) -> None:
    graph = quantized(STATIC, head).graph
    for node in graph.graph:
        readers = [use.node.op_type for value in node.outputs for use in value.uses()]
        if node.op_type == "QuantizeLinear":
            assert readers == ["DequantizeLinear"]
        if node.op_type == "DequantizeLinear":
            makers = [value.producer() for value in node.inputs if value is not None]
            from_table = any(maker is not None and maker.op_type == "Gather" for maker in makers)
            assert set(readers) == ({"Add"} if from_table else {"MatMul"})
        if node.op_type in ("LayerNormalization", "Softmax", "Gelu", "Add", "Div"):
            assert all(value.dtype == FLOAT for value in node.outputs)
    products = [
        node
        for node in nodes(graph, "MatMul")
        if node.name.endswith((".attention/MatMul", ".attention/MatMul_1"))
    ]
    assert len(products) == 2 * LAYERS
    for node in products:
        assert all(value.producer().op_type != "DequantizeLinear" for value in node.inputs)


@pytest.mark.parametrize(
    ("scheme", "op_type"), [(STATIC, "QuantizeLinear"), (DYNAMIC, "DynamicQuantizeLinear")]
)
def test_an_activation_that_several_layers_read_is_quantized_once(scheme: str, op_type: str) -> None:
    # Four activations a layer (of the projections, out_lin, lin1 and lin2), and two of the classifier
    assert len(list(nodes(quantized(scheme).graph, op_type))) == 4 * LAYERS + 2


@every_scheme
def test_tied_weights_are_stored_once(scheme: str) -> None:
    (words,) = large_weights(quantized(scheme, TIED).graph)
    assert words.name == f"{WORDS}.weight_quantized"


@pytest.mark.parametrize("kept", ["vocab_projector", WORDS])
def test_tied_weights_with_one_side_in_floating_point(kept: str) -> None:
    inputs = feeds(TIED, 3, 9, seed=50)
    graph = quantized(STATIC, TIED, weight_bits=7, exclude=(kept,)).graph
    assert float_weights(graph) == {f"{WORDS}.weight"}
    assert relative_error(answer(graph, inputs)[0], answer(exported(TIED), inputs)[0]) < TOLERANCES[STATIC]


def test_excluded_modules_stay_in_floating_point() -> None:
    graph = quantized(
        STATIC, exclude=("classifier", f"{FIRST}.ffn.*", "embeddings.position_embeddings")
    ).graph
    assert {layer.module for layer in linear.find(graph)} == {
        "classifier",
        f"{FIRST}.ffn.lin1",
        f"{FIRST}.ffn.lin2",
    }
    assert "distilbert.embeddings.position_embeddings.weight" in float_weights(graph)


@every_scheme
def test_excluding_everything_changes_nothing(scheme: str) -> None:
    graph = quantized(scheme, exclude=("*",)).graph
    assert Counter(node.op_type for node in graph.graph) == Counter(node.op_type for node in exported().graph)


@every_scheme
def test_an_exclude_that_names_nothing_is_an_error(scheme: str) -> None:
    with pytest.raises(UsageError, match="did you mean 'classifier'"):
        quantize(exported(), scheme, exclude=("classifiers",))


@pytest.mark.parametrize(("bits", "largest"), [(7, 63), (8, 127)])
def test_weights_use_all_of_their_bits_and_untied_tables_all_8(bits: int, largest: int) -> None:
    graph = quantized(STATIC, TIED, weight_bits=bits).graph
    stored = {
        name: int(np.abs(array(graph, name).astype(int)).max())
        for name, value in graph.graph.initializers.items()
        if name.endswith("_quantized") and value.dtype == INT8
    }
    # The word embeddings are also the weight of vocab_projector; the positions enter no product
    assert stored.pop("distilbert.embeddings.position_embeddings.weight_quantized") == 127
    assert len(stored) == linears(TIED)
    assert set(stored.values()) == {largest}


@every_scheme
def test_the_same_graph_comes_out_twice(scheme: str) -> None:
    made = []
    options = {"calibration": "entropy"} if scheme == STATIC else {}
    for _ in range(2):
        graph = exported()
        quantize(graph, scheme, smoothing=0.5, **options)
        made.append(onnx_ir.to_proto(graph).SerializeToString(deterministic=True))
    assert made[0] == made[1]


def test_static_answers_do_not_depend_on_the_batch() -> None:
    graph = quantized(STATIC, weight_bits=7).graph
    together = feeds(HEAD, 4, 12, seed=9)
    alone = {name: numbers[2:3] for name, numbers in together.items()}
    # Sums of float32 in another order; a step of the 8-bit numbers would show as 1e-3 or more
    np.testing.assert_allclose(answer(graph, alone)[0][0], answer(graph, together)[0][2], rtol=0, atol=1e-5)


def test_dynamic_says_that_its_answers_depend_on_the_batch() -> None:
    (note,) = quantized(DYNAMIC).result.notes
    assert "depends on the texts it is batched with" in note
    assert quantized(STATIC).result.notes == ()


def test_dynamic_scales_are_those_of_the_standard() -> None:
    """ONNX's DynamicQuantizeLinear by hand, then the product with the stored weight."""
    graph = quantized(DYNAMIC, weight_bits=7).graph.clone()
    (product,) = (node for node in nodes(graph, "MatMulInteger") if node.name.startswith("pre_classifier/"))
    (quantizer,) = (node for node in nodes(graph, "DynamicQuantizeLinear") if "pre_classifier" in node.name)
    wanted = [quantizer.inputs[0], *quantizer.outputs, product.outputs[0]]
    graph.graph.outputs.extend(wanted)
    _, activation, numbers, scale, zero_point, sums = answer(graph, feeds(HEAD, 3, 9))
    low, high = min(activation.min(), 0), max(activation.max(), 0)
    assert scale == pytest.approx((high - low) / 255, rel=1e-6)
    assert zero_point == np.rint(-low / scale)
    # A value in the middle between two numbers may go to either
    np.testing.assert_allclose(numbers, activation / scale + float(zero_point), atol=0.5 + 1e-3)
    weight = array(graph, "pre_classifier.weight_quantized").astype(np.int64)
    by_hand = (numbers.astype(np.int64) - int(zero_point)) @ weight
    np.testing.assert_array_equal(sums, by_hand)


@every_scheme
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_weight_is_named(scheme: str, broken: float) -> None:
    graph = exported()

    def break_one(weight: Array) -> Array:
        weight[0, 0] = broken
        return weight

    change_weight(graph, "classifier.weight", break_one)
    with pytest.raises(StageError, match="classifier holds NaN or infinity"):
        quantize(graph, scheme)


def test_no_calibration_data_is_an_error() -> None:
    with pytest.raises(StageError, match="no calibration data"):
        schemes.find(STATIC).run(exported(), Plan(scheme=STATIC), lambda: iter(()))


def test_nan_on_the_calibration_data_is_named() -> None:
    graph = exported()
    change_weight(graph, "distilbert.embeddings.LayerNorm.bias", lambda bias: bias * np.nan)
    with pytest.raises(StageError, match=r"embeddings.LayerNorm/.* holds NaN or infinity"):
        quantize(graph, STATIC)


def test_an_unknown_calibration_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown calibration 'median'"):
        quantize(exported(), STATIC, calibration="median")


@every_scheme
def test_it_is_standard_onnx(scheme: str) -> None:
    graph = exported()
    quantize(graph, scheme, smoothing=0.5)
    assert {node.domain for node in graph.graph} == {""}
    onnx.checker.check_model(onnx_ir.to_proto(graph), full_check=True)
