"""Both integer schemes: what they quantize, what they leave alone, and that the answers stay near."""

from collections import Counter

import numpy as np
import onnx
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import StageError, UsageError
from pipeline.graph.file import Graph, check
from pipeline.precision import Transformed, schemes
from pipeline.precision.layers import linear
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds, relative_error

STATIC, DYNAMIC = "int8_static", "int8_dynamic"
SCHEMES = (STATIC, DYNAMIC)
PER_LAYER = 6
# Linear layers beyond the encoder's
OWN = {
    "features": 0,
    "masked_lm": 2,
    "multiple_choice": 2,
    "question_answering": 1,
    "sequence_classification": 2,
    "token_classification": 1,
}


def quantize(
    graph: Graph, scheme: str = STATIC, head: str = "sequence_classification", **changes: object
) -> Transformed:
    plan = Plan(scheme=scheme, **changes)  # type: ignore[arg-type]
    return schemes.find(scheme).run(graph, plan, calibration(head))


def operators(graph: Graph) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph)


def float_weights(graph: Graph) -> set[str]:
    return {
        name
        for name, value in graph.graph.initializers.items()
        if value.dtype == onnx_ir.DataType.FLOAT and value.shape is not None and value.shape.rank() == 2
        if "_row_scale" not in name
    }


every_head = pytest.mark.parametrize("head", heads.names())
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.mark.usefixtures("exact_int8")
@every_scheme
@every_head
def test_every_linear_layer_and_table_is_quantized_and_answers_stay_near(head: str, scheme: str) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    done = quantize(graph, scheme, head)
    counts = {record.name: record.rewrites for record in done.passes}
    assert counts == {"int8_embeddings": 2, scheme: PER_LAYER * LAYERS + OWN[head]}
    assert linear.find(graph) == ()
    assert float_weights(graph) == set()
    check(graph)
    for found, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert found.shape == wanted.shape
        assert relative_error(found, wanted) < 0.1


@every_head
def test_integers_touch_nothing_but_matrix_products(head: str) -> None:
    graph = exported(head)
    quantize(graph, STATIC, head)
    for node in graph.graph:
        readers = [use.node.op_type for value in node.outputs for use in value.uses()]
        if node.op_type == "QuantizeLinear":
            assert readers == ["DequantizeLinear"]
        if node.op_type == "DequantizeLinear":
            makers = [value.producer() for value in node.inputs if value is not None]
            from_table = any(maker is not None and maker.op_type == "Gather" for maker in makers)
            assert set(readers) == ({"Add"} if from_table else {"MatMul"})
        if node.op_type in ("LayerNormalization", "Softmax", "Gelu", "Add", "Div"):
            assert all(value.dtype == onnx_ir.DataType.FLOAT for value in node.outputs)
    products = [node for node in graph.graph if node.op_type == "MatMul"]
    attention = [
        node for node in products if node.name.endswith((".attention/MatMul", ".attention/MatMul_1"))
    ]
    assert len(attention) == 2 * LAYERS
    for node in attention:
        for value in node.inputs:
            assert value.producer().op_type != "DequantizeLinear"


def test_one_pair_serves_the_three_projections() -> None:
    graph = exported()
    quantize(graph)
    # four activations a layer (projections', out_lin's, lin1's, lin2's), and both classifier layers'
    assert operators(graph)["QuantizeLinear"] == 4 * LAYERS + 2
    dynamic = exported()
    quantize(dynamic, DYNAMIC)
    assert operators(dynamic)["DynamicQuantizeLinear"] == 4 * LAYERS + 2


def test_tied_weights_are_stored_once() -> None:
    graph = exported("masked_lm")
    quantize(graph, STATIC, "masked_lm")
    large = [
        name
        for name, value in graph.graph.initializers.items()
        if value.const_value is not None and value.const_value.size >= 300 * 32
    ]
    assert large == ["distilbert.embeddings.word_embeddings.weight_quantized"]


@pytest.mark.usefixtures("exact_int8")
def test_tied_weights_with_one_side_in_floating_point() -> None:
    inputs = feeds("masked_lm", 3, 9, seed=50)
    expected = answer(exported("masked_lm"), inputs)
    for kept in ("vocab_projector", "distilbert.embeddings.word_embeddings"):
        graph = exported("masked_lm")
        quantize(graph, STATIC, "masked_lm", exclude=(kept,))
        assert float_weights(graph) == {"distilbert.embeddings.word_embeddings.weight"}
        assert relative_error(answer(graph, inputs)[0], expected[0]) < 0.1


def test_excluded_modules_stay_in_floating_point() -> None:
    graph = exported()
    first = "distilbert.transformer.layer.0"
    quantize(graph, exclude=("classifier", f"{first}.ffn.*", "embeddings.position_embeddings"))
    assert {each.module for each in linear.find(graph)} == {
        "classifier",
        f"{first}.ffn.lin1",
        f"{first}.ffn.lin2",
    }
    assert "distilbert.embeddings.position_embeddings.weight" in float_weights(graph)


def test_everything_excluded_changes_nothing() -> None:
    graph = exported()
    before = operators(graph)
    quantize(graph, exclude=("*",))
    assert operators(graph) == before


@every_scheme
def test_an_exclude_that_names_nothing_is_an_error_with_the_nearest_name(scheme: str) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'distilbert.transformer.layer.0.attention.q_lin'"):
        quantize(exported(), scheme, exclude=("distilbert.transformer.layer.0.attention.q_line",))


def test_seven_bit_weights_cannot_saturate_sixteen_bits() -> None:
    graph = exported("masked_lm")
    quantize(graph, STATIC, "masked_lm", weight_bits=7)
    weights = [
        value.const_value.numpy().astype(np.int64)
        for node in graph.graph
        if node.op_type == "DequantizeLinear" and node.inputs[0].dtype == onnx_ir.DataType.INT8
        for value in [
            node.inputs[0] if node.inputs[0].const_value is not None else node.inputs[0].producer().inputs[0]
        ]
        if value.const_value is not None
    ]
    assert len(weights) == PER_LAYER * LAYERS + OWN["masked_lm"]
    for array in weights:
        assert -64 <= array.min() < -50
        assert 50 < array.max() <= 63
        # vpmaddubsw adds two products of an unsigned and a signed 8-bit number in 16 bits
        worst = 255 * 2 * max(-int(array.min()), int(array.max()))
        assert worst <= np.iinfo(np.int16).max


def test_eight_bit_weights_could_saturate() -> None:
    graph = exported()
    quantize(graph)
    array = graph.graph.initializers["pre_classifier.weight_quantized"].const_value.numpy()
    assert 255 * 2 * int(array.max()) > np.iinfo(np.int16).max


@every_scheme
def test_the_same_graph_comes_out_twice(scheme: str) -> None:
    made = []
    for _ in range(2):
        graph = exported()
        quantize(graph, scheme, calibration="entropy", smoothing=0.5)
        made.append(onnx_ir.to_proto(graph).SerializeToString(deterministic=True))
    assert made[0] == made[1]


def test_static_answers_do_not_depend_on_the_batch() -> None:
    graph = exported()
    quantize(graph)
    together = feeds("sequence_classification", 4, 12, seed=9)
    alone = {name: array[2:3] for name, array in together.items()}
    np.testing.assert_allclose(answer(graph, alone)[0][0], answer(graph, together)[0][2], rtol=0, atol=1e-5)


def test_dynamic_says_that_its_answers_depend_on_the_batch() -> None:
    (note,) = quantize(exported(), DYNAMIC).notes
    assert "batch" in note
    assert quantize(exported(), STATIC).notes == ()


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_weight_is_named(broken: float) -> None:
    graph = exported()
    value = graph.graph.initializers["classifier.weight"]
    array = value.const_value.numpy().copy()
    array[0, 0] = broken
    value.const_value = onnx_ir.tensor(array, name=value.name)
    with pytest.raises(StageError, match="classifier holds NaN or infinity"):
        quantize(graph, DYNAMIC)


def test_no_calibration_data_is_an_error() -> None:
    with pytest.raises(StageError, match="no calibration data"):
        schemes.find(STATIC).run(exported(), Plan(scheme=STATIC), lambda: iter(()))


def test_nan_on_the_calibration_data_is_named() -> None:
    graph = exported()
    value = graph.graph.initializers["distilbert.embeddings.LayerNorm.bias"]
    array = value.const_value.numpy().copy()
    array[0] = np.nan
    value.const_value = onnx_ir.tensor(array, name=value.name)
    with pytest.raises(StageError, match=r"embeddings.LayerNorm/.* holds NaN or infinity"):
        quantize(graph)


def test_an_unknown_calibration_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown calibration 'median'"):
        quantize(exported(), calibration="median")


def test_it_is_standard_onnx() -> None:
    for scheme in SCHEMES:
        graph = exported()
        quantize(graph, scheme, smoothing=0.5)
        assert {node.domain for node in graph.graph} == {""}
        onnx.checker.check_model(onnx_ir.to_proto(graph), full_check=True)
