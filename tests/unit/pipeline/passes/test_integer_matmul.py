"""Quantized layers as ONNX Runtime's integer product: as many as must be, the same answers, and what is refused."""

from collections import Counter

import numpy as np
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import ContractError
from pipeline.graph.builder import constant, insert
from pipeline.graph.file import Graph, check
from pipeline.passes import base, fusions
from pipeline.precision import schemes
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds, relative_error

NAME = "integer_matmul"
STATIC, DYNAMIC = "int8_static", "int8_dynamic"


def quantized(scheme: str, head: str = "sequence_classification", **changes: object) -> Graph:
    graph = exported(head)
    schemes.find(scheme).run(graph, Plan(scheme=scheme, **changes), calibration(head))  # type: ignore[arg-type]
    return graph


def lower(graph: Graph) -> int:
    (record,) = base.apply(graph, [fusions.find(NAME)])
    return record.rewrites


def operators(graph: Graph) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph)


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("scheme", [STATIC, DYNAMIC])
def test_every_quantized_layer_becomes_one_product_with_the_same_answers(head: str, scheme: str) -> None:
    graph = quantized(scheme, head)
    # Masked throughout, ragged, and a single token
    batches = [feeds(head, 3, 9, seed=7), feeds(head, 1, 1, seed=8)]
    batches[0]["attention_mask"][0] = 0
    before = [answer(graph, batch) for batch in batches]
    layers = sum(node.op_type in ("MatMulInteger", "MatMul") for node in graph.graph) - 2 * LAYERS
    assert lower(graph) == layers >= 6 * LAYERS
    check(graph)
    counts = operators(graph)
    assert counts["MatMul"] == 2 * LAYERS
    assert counts["MatMulIntegerToFloat"] + counts["DynamicQuantizeMatMul"] == layers
    assert not {"MatMulInteger", "Gemm"} & counts.keys()
    for batch, expected in zip(batches, before, strict=True):
        for found, wanted in zip(answer(graph, batch), expected, strict=True):
            # Another order of summing may move a value across the border between two 8-bit steps.
            np.testing.assert_allclose(found, wanted, rtol=0, atol=0.02 * np.abs(wanted).max())


def test_static_layers_read_constants_and_one_quantized_value() -> None:
    graph = quantized(STATIC)
    lower(graph)
    assert operators(graph)["QuantizeLinear"] == 4 * LAYERS + 2
    assert operators(graph)["DequantizeLinear"] == sum(
        node.op_type == "DequantizeLinear" and "embeddings" in node.name for node in graph.graph
    )
    for node in graph.graph:
        if node.op_type != "MatMulIntegerToFloat":
            continue
        numbers, weight, scale, weight_scale, zero_point, weight_zero, bias = node.inputs
        assert numbers.producer().op_type == "QuantizeLinear"
        assert weight_zero is None
        assert weight.dtype == onnx_ir.DataType.INT8
        for value in (weight, scale, weight_scale, zero_point, bias):
            assert value.const_value is not None
        assert weight.const_value.shape.rank() == 2
        assert node.outputs[0].dtype == onnx_ir.DataType.FLOAT


def test_dynamic_numbers_that_several_layers_read_are_made_once() -> None:
    graph = quantized(DYNAMIC)
    lower(graph)
    counts = operators(graph)
    # The projections share one; each other layer quantizes within its product.
    assert counts["DynamicQuantizeLinear"] == LAYERS
    assert counts["MatMulIntegerToFloat"] == 3 * LAYERS
    assert counts["DynamicQuantizeMatMul"] == 3 * LAYERS + 2


def test_excluded_layers_stay_matrix_products() -> None:
    graph = quantized(STATIC, exclude=("classifier",))
    assert lower(graph) == 6 * LAYERS + 1
    assert operators(graph)["Gemm"] == 1


def test_a_layer_without_bias() -> None:
    graph = quantized(STATIC)
    node = next(node for node in graph.graph if node.name.endswith("layer.0.ffn.lin1/Add"))
    product = node.inputs[0]
    node.outputs[0].replace_all_uses_with(product)
    graph.graph.remove(node, safe=True)
    inputs = feeds("sequence_classification", 2, 5)
    expected = answer(graph, inputs)
    assert lower(graph) == 6 * LAYERS + 2
    np.testing.assert_allclose(answer(graph, inputs)[0], expected[0], rtol=0, atol=0.05)


def test_a_sum_that_is_no_bias_stays() -> None:
    graph = quantized(STATIC)
    lower(graph)
    # Residual sums: two a layer; the sum of embeddings; the mask's, one a layer
    assert operators(graph)["Add"] == 2 * LAYERS + 1 + LAYERS


def test_a_float_graph_is_refused() -> None:
    with pytest.raises(ContractError, match="integer_matmul matched 0 times"):
        lower(exported())


def test_a_renamed_operator_is_an_error_that_says_what_does_not_fit() -> None:
    graph = quantized(STATIC)
    for node in graph.graph:
        if node.op_type == "DequantizeLinear" and node.inputs[0].dtype == onnx_ir.DataType.UINT8:
            node.op_type = "Identity"
            node.resize_inputs(1)
    with pytest.raises(ContractError, match="its weight is quantized and its activation is not"):
        lower(graph)


def test_scales_along_the_inputs_are_refused() -> None:
    graph = quantized(STATIC)
    for node in graph.graph:
        if node.op_type == "DequantizeLinear" and node.name.endswith("out_lin.weight/DequantizeLinear"):
            node.attributes["axis"] = onnx_ir.AttrInt64("axis", 0)
    applied = fusions.find(NAME).run(graph)
    assert applied.rewrites == 5 * LAYERS + 2
    assert len(applied.refusals) == LAYERS
    assert all("do not lie along the output channels" in reason for reason in applied.refusals)


def test_an_activation_with_several_scales_is_refused() -> None:
    graph = quantized(STATIC)
    scale = graph.graph.initializers["classifier.input_scale"]
    scale.const_value = onnx_ir.tensor(np.full(32, 0.1, dtype=np.float32), name=scale.name)
    scale.shape = onnx_ir.Shape([32])
    applied = fusions.find(NAME).run(graph)
    assert applied.rewrites == 6 * LAYERS + 1
    (reason,) = applied.refusals
    assert reason.startswith("classifier/MatMul: ")
    assert reason.endswith("has more than one scale")


def test_one_quantized_product_that_is_left_stops_the_build() -> None:
    graph = quantized(STATIC)
    (weight,) = (node for node in graph.graph if node.name == "classifier.weight/DequantizeLinear")
    weight.op_type = "Identity"
    weight.resize_inputs(1)
    made = 6 * LAYERS + 1
    with pytest.raises(
        ContractError,
        match=rf"matched {made} times, must match at least {made + 1} times: classifier/MatMul: its activation is "
        "quantized and its second factor is not",
    ):
        lower(graph)


@pytest.mark.parametrize("op_type", ["Reshape", "Gemm"])
def test_quantized_numbers_on_another_way_to_a_product_stop_the_build(op_type: str) -> None:
    graph = quantized(STATIC)
    (product,) = (node for node in graph.graph if node.name == "classifier/MatMul")
    if op_type == "Gemm":
        product.op_type = op_type
        message = "it is a Gemm of quantized numbers"
    else:
        (activation, _) = product.inputs
        shape = constant(graph, "same", np.asarray([0, 0], dtype=np.int64))
        moved = insert(
            graph,
            product,
            op_type,
            [activation, shape],
            name="moved",
            dtype=onnx_ir.DataType.FLOAT,
            shape=activation.shape,
        )
        product.replace_input_with(0, moved)
        message = "its weight is quantized and its activation is not"
    with pytest.raises(ContractError, match=f"matched {6 * LAYERS + 1} times.*classifier/MatMul: {message}"):
        lower(graph)


@pytest.mark.parametrize("exclude", [("*attention*",), ("*ffn*",), ("*layer.0*", "*layer.1.ffn*")])
def test_however_much_is_excluded_the_rest_is_lowered(exclude: tuple[str, ...]) -> None:
    graph = quantized(STATIC, exclude=exclude)
    weights = [name for name in graph.graph.initializers if name.endswith(".weight_quantized")]
    assert lower(graph) == sum("embeddings" not in name for name in weights) > 0
    check(graph)


def test_sums_that_are_not_scaled_are_refused() -> None:
    graph = quantized(DYNAMIC)
    cast = next(node for node in graph.graph if node.op_type == "Cast" and "lin2" in node.name)
    scaled = cast.outputs[0].uses()[0].node
    scaled.op_type = "Add"
    applied = fusions.find(NAME).run(graph)
    assert applied.rewrites == 6 * LAYERS + 1
    assert "its sums are not cast to float and scaled" in applied.refusals[0]


def test_zero_points_of_weights_are_kept_where_they_are_not_zero() -> None:
    graph = quantized(STATIC)
    node = next(node for node in graph.graph if node.name == "pre_classifier.weight/DequantizeLinear")
    numbers, _, _ = node.inputs
    shifted = np.ones(32, dtype=np.int8)
    value = onnx_ir.Value(
        name="ones",
        shape=onnx_ir.Shape([32]),
        type=onnx_ir.TensorType(onnx_ir.DataType.INT8),
        const_value=onnx_ir.tensor(shifted, name="ones"),
    )
    graph.graph.register_initializer(value)
    node.replace_input_with(2, value)
    numbers.const_value = onnx_ir.tensor(
        np.clip(numbers.const_value.numpy(), -127, 126) + shifted, name=numbers.name
    )
    inputs = feeds("sequence_classification", 2, 5)
    expected = answer(graph, inputs)
    lower(graph)
    np.testing.assert_allclose(answer(graph, inputs)[0], expected[0], rtol=0, atol=0.05)


@pytest.mark.usefixtures("exact_int8")
@pytest.mark.parametrize("scheme", [STATIC, DYNAMIC])
def test_fused_graphs_are_quantized_too(scheme: str) -> None:
    graph = exported()
    names = ("packed_qkv", "attention_mha", "transposes", "flatten_tokens")
    base.apply(graph, [fusions.find(name) for name in names])
    inputs = feeds("sequence_classification", 3, 9, seed=5)
    expected = answer(graph, inputs)[0]
    plan = Plan(scheme=scheme, smoothing=0.5)
    schemes.find(scheme).run(graph, plan, calibration())
    assert lower(graph) == 4 * LAYERS + 2
    assert relative_error(answer(graph, inputs)[0], expected) < 0.1
