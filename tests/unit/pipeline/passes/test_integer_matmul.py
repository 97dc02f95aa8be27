"""Quantized layers as ONNX Runtime's integer product: as many as must be, the same answers, and what is refused."""

import numpy as np
import onnx_ir
import pytest
from distilforge.machine.exact_int8 import PRECISE

from pipeline.errors import ContractError
from pipeline.graph.builder import Insertion, constant
from pipeline.graph.file import Graph, check
from pipeline.graph.values import array_of
from pipeline.passes import base, registry
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan
from tests.graphs import (
    LAYERS,
    answer,
    calibration,
    exported,
    feeds,
    node,
    operators,
    relative_error,
)

NAME = "integer_matmul"
STATIC, DYNAMIC = "int8_static", "int8_dynamic"
# The layers of the other two heads are written as those of question_answering, or absent
HEADS = ("sequence_classification", "multiple_choice", "masked_lm", "question_answering")


def quantized(scheme: str, head: str = "sequence_classification", **changes: object) -> Graph:
    graph = exported(head)
    schemes.find(scheme).run(graph, Plan(scheme=scheme, **changes), calibration(head))  # type: ignore[arg-type]
    return graph


def run(graph: Graph) -> int:
    (record,) = base.apply(graph, [registry.find(NAME)])
    return record.rewrites


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scheme", [STATIC, DYNAMIC])
def test_every_quantized_layer_becomes_one_product_with_the_same_answers(head: str, scheme: str) -> None:
    graph = quantized(scheme, head)
    # Masked throughout, ragged, and a single token
    batches = [feeds(head, 3, 9, seed=7), feeds(head, 1, 1, seed=8)]
    batches[0]["attention_mask"][0] = 0
    before = [answer(graph, batch) for batch in batches]
    layers = operators(graph)["MatMulInteger"] + operators(graph)["MatMul"] - 2 * LAYERS
    assert run(graph) == layers >= 6 * LAYERS
    check(graph)
    counts = operators(graph)
    assert counts["MatMul"] == 2 * LAYERS
    assert counts["MatMulIntegerToFloat"] + counts["DynamicQuantizeMatMul"] == layers
    assert not {"MatMulInteger", "Gemm"} & counts.keys()
    for batch, expected in zip(batches, before, strict=True):
        for output, wanted in zip(answer(graph, batch), expected, strict=True):
            # Another order of summing may move a value across the border between two 8-bit steps.
            np.testing.assert_allclose(output, wanted, rtol=0, atol=0.02 * np.abs(wanted).max())


def test_static_layers_read_constants_and_one_quantized_value() -> None:
    graph = quantized(STATIC)
    run(graph)
    assert operators(graph)["QuantizeLinear"] == 4 * LAYERS + 2
    dequantized = [candidate for candidate in graph.graph if candidate.op_type == "DequantizeLinear"]
    assert all("embeddings" in candidate.name for candidate in dequantized)
    for candidate in graph.graph:
        if candidate.op_type != "MatMulIntegerToFloat":
            continue
        numbers, weight, scale, weight_scale, zero_point, weight_zero, bias = candidate.inputs
        assert numbers.producer().op_type == "QuantizeLinear"
        assert weight_zero is None
        assert weight.dtype == onnx_ir.DataType.INT8
        for value in (weight, scale, weight_scale, zero_point, bias):
            assert value.const_value is not None
        assert weight.const_value.shape.rank() == 2
        assert candidate.outputs[0].dtype == onnx_ir.DataType.FLOAT


def test_dynamic_numbers_that_several_layers_read_are_made_once() -> None:
    graph = quantized(DYNAMIC)
    run(graph)
    counts = operators(graph)
    # The projections share one; each other layer quantizes within its product.
    assert counts["DynamicQuantizeLinear"] == LAYERS
    assert counts["MatMulIntegerToFloat"] == 3 * LAYERS
    assert counts["DynamicQuantizeMatMul"] == 3 * LAYERS + 2


def test_excluded_layers_stay_matrix_products() -> None:
    graph = quantized(STATIC, exclude=("classifier",))
    assert run(graph) == 6 * LAYERS + 1
    assert operators(graph)["Gemm"] == 1


def test_a_layer_without_bias() -> None:
    graph = quantized(STATIC)
    add = node(graph, "distilbert.transformer.layer.0.ffn.lin1/Add")
    add.outputs[0].replace_all_uses_with(add.inputs[0])
    graph.graph.remove(add, safe=True)
    inputs = feeds("sequence_classification", 2, 5)
    expected = answer(graph, inputs)
    assert run(graph) == 6 * LAYERS + 2
    np.testing.assert_allclose(answer(graph, inputs)[0], expected[0], rtol=0, atol=0.05)


def test_a_sum_that_is_no_bias_stays() -> None:
    graph = quantized(STATIC)
    run(graph)
    # Residual sums: two a layer; the sum of embeddings; the mask's, one a layer
    assert operators(graph)["Add"] == 2 * LAYERS + 1 + LAYERS


def test_a_float_graph_is_refused() -> None:
    with pytest.raises(ContractError, match="integer_matmul matched 0 times"):
        run(exported())


def test_a_renamed_operator_is_an_error_that_says_what_does_not_fit() -> None:
    graph = quantized(STATIC)
    for candidate in graph.graph:
        if candidate.op_type == "DequantizeLinear" and candidate.inputs[0].dtype == onnx_ir.DataType.UINT8:
            candidate.op_type = "Identity"
            candidate.resize_inputs(1)
    with pytest.raises(ContractError, match="its weight is quantized and its activation is not"):
        run(graph)


def test_scales_along_the_inputs_are_refused() -> None:
    graph = quantized(STATIC)
    for candidate in graph.graph:
        if candidate.op_type == "DequantizeLinear" and candidate.name.endswith(
            "out_lin.weight/DequantizeLinear"
        ):
            candidate.attributes["axis"] = onnx_ir.AttrInt64("axis", 0)
    result = registry.find(NAME).run(graph)
    assert result.rewrites == 5 * LAYERS + 2
    assert len(result.refusals) == LAYERS
    assert all("do not lie along the output channels" in reason for reason in result.refusals)


def test_an_activation_with_several_scales_is_refused() -> None:
    graph = quantized(STATIC)
    scale = graph.graph.initializers["classifier.input_scale"]
    scale.const_value = onnx_ir.tensor(np.full(32, 0.1, dtype=np.float32), name=scale.name)
    scale.shape = onnx_ir.Shape([32])
    result = registry.find(NAME).run(graph)
    assert result.rewrites == 6 * LAYERS + 1
    (reason,) = result.refusals
    assert reason.startswith("classifier/MatMul: ")
    assert reason.endswith("has more than one scale")


def test_one_quantized_product_that_is_left_stops_the_build() -> None:
    graph = quantized(STATIC)
    weight = node(graph, "classifier.weight/DequantizeLinear")
    weight.op_type = "Identity"
    weight.resize_inputs(1)
    rewritten = 6 * LAYERS + 1
    with pytest.raises(
        ContractError,
        match=rf"matched {rewritten} times, must match at least {rewritten + 1} times: classifier/MatMul: "
        "its activation is quantized and its second factor is not",
    ):
        run(graph)


@pytest.mark.parametrize("op_type", ["Reshape", "Gemm"])
def test_quantized_numbers_on_another_way_to_a_product_stop_the_build(op_type: str) -> None:
    graph = quantized(STATIC)
    product = node(graph, "classifier/MatMul")
    if op_type == "Gemm":
        product.op_type = op_type
        message = "it is a Gemm of quantized numbers"
    else:
        activation = product.inputs[0]
        insertion = Insertion.before(graph, product)
        unchanged = insertion.sizes(0, 0)
        product.replace_input_with(0, insertion.add(op_type, [activation, unchanged], shape=activation.shape))
        message = "its weight is quantized and its activation is not"
    with pytest.raises(ContractError, match=f"matched {6 * LAYERS + 1} times.*classifier/MatMul: {message}"):
        run(graph)


@pytest.mark.parametrize("exclude", [("*attention*",), ("*ffn*",), ("*layer.0*", "*layer.1.ffn*")])
def test_however_much_is_excluded_the_rest_is_rewritten(exclude: tuple[str, ...]) -> None:
    graph = quantized(STATIC, exclude=exclude)
    weights = [name for name in graph.graph.initializers if name.endswith(".weight_quantized")]
    assert run(graph) == sum("embeddings" not in name for name in weights) > 0
    check(graph)


def test_sums_that_are_not_scaled_are_refused() -> None:
    graph = quantized(DYNAMIC)
    cast = next(item for item in graph.graph if item.op_type == "Cast" and "lin2" in item.name)
    scaled = cast.outputs[0].uses()[0].node
    scaled.op_type = "Add"
    result = registry.find(NAME).run(graph)
    assert result.rewrites == 6 * LAYERS + 1
    assert "its sums are not cast to float and scaled" in result.refusals[0]


def test_zero_points_of_weights_are_kept_where_they_are_not_zero() -> None:
    graph = quantized(STATIC)
    dequantize = node(graph, "pre_classifier.weight/DequantizeLinear")
    numbers = dequantize.inputs[0]
    ones = np.ones(32, dtype=np.int8)
    dequantize.replace_input_with(2, constant(graph, "ones", ones))
    numbers.const_value = onnx_ir.tensor(np.clip(array_of(numbers), -127, 126) + ones, name=numbers.name)
    inputs = feeds("sequence_classification", 2, 5)
    expected = answer(graph, inputs)
    run(graph)
    np.testing.assert_allclose(answer(graph, inputs)[0], expected[0], rtol=0, atol=0.05)


@pytest.mark.parametrize("scheme", [STATIC, DYNAMIC])
def test_graphs_that_passes_changed_are_quantized_too(scheme: str) -> None:
    graph = exported()
    names = ("packed_qkv", "attention_mha", "transposes", "flatten_tokens")
    base.apply(graph, [registry.find(name) for name in names])
    inputs = feeds("sequence_classification", 3, 9, seed=5)
    expected = answer(graph, inputs)[0]
    plan = Plan(scheme=scheme, smoothing=0.5)
    schemes.find(scheme).run(graph, plan, calibration())
    assert run(graph) == 4 * LAYERS + 2
    assert relative_error(answer(graph, inputs, entries=PRECISE)[0], expected) < 0.1
