"""8-bit products with fp16 around them: what TensorRT asks of such a graph, and that the answers stay near."""

import re
from collections.abc import Iterator

import numpy as np
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import UsageError
from pipeline.graph.file import Graph, check
from pipeline.graph.values import array_of
from pipeline.passes import base, fusions
from pipeline.precision import Transformed, schemes
from pipeline.precision.ranges import grids
from pipeline.precision.ranges.scales import SMALLEST_HALF, in_half
from pipeline.precision.weights import weights
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds, relative_error

FLOAT, HALF, INT8 = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16, onnx_ir.DataType.INT8
NAME = "int8_static_fp16"


def quantize(graph: Graph, head: str = "sequence_classification", **changes: object) -> Transformed:
    base.apply(graph, [fusions.find("attention_onnx")])
    plan = Plan(scheme=NAME, signed_activations=True, **changes)  # type: ignore[arg-type]
    return schemes.find(NAME).run(graph, plan, calibration(head))


def nodes(graph: Graph, *op_types: str) -> Iterator[onnx_ir.Node]:
    return (node for node in graph.graph if node.op_type in op_types)


every_head = pytest.mark.parametrize("head", heads.names())


@every_head
def test_answers_stay_near(head: str) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    done = quantize(graph, head)
    check(graph)
    counts = {record.name: record.rewrites for record in done.passes}
    assert counts["int8_embeddings"] == 2
    assert counts["int8_static"] >= 6 * LAYERS
    for found, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert found.dtype == np.float32
        assert relative_error(found, wanted) < 0.1


@every_head
def test_numbers_are_signed_with_zero_points_of_zero_on_scales_of_fp16(head: str) -> None:
    graph = exported(head)
    quantize(graph, head)
    found = list(nodes(graph, "QuantizeLinear", "DequantizeLinear"))
    assert found
    for node in found:
        scale, zero_point = array_of(node.inputs[1]), array_of(node.inputs[2])
        assert scale is not None
        assert zero_point is not None
        assert scale.dtype == np.float16
        assert (scale >= np.float16(SMALLEST_HALF)).all()
        assert zero_point.dtype == np.int8
        assert not zero_point.any()


@every_head
def test_tensorrt_meets_stored_numbers_at_dequantizelinear_alone(head: str) -> None:
    graph = exported(head)
    quantize(graph, head)
    stored = [value for value in graph.graph.initializers.values() if value.dtype == INT8]
    assert stored
    for value in stored:
        assert {use.node.op_type for use in value.uses()} <= {"DequantizeLinear", "QuantizeLinear"}
    # ... and nothing but the products and the embeddings computes on 8-bit numbers
    for node in graph.graph:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            assert all(value is None or value.dtype != INT8 for value in (*node.inputs, *node.outputs))


def test_attention_is_fp16_and_sums_stay_in_float32() -> None:
    graph = exported()
    quantize(graph)
    attentions = list(nodes(graph, "Attention"))
    assert len(attentions) == LAYERS
    for node in attentions:
        assert {value.dtype for value in node.inputs if value is not None} == {HALF}
        makers = {value.producer().op_type for value in node.inputs if value is not None}
        assert "DequantizeLinear" not in makers
    for node in nodes(graph, "LayerNormalization"):
        assert {value.dtype for value in (*node.inputs, *node.outputs) if value is not None} == {FLOAT}
    for node in nodes(graph, "Gelu", "Add", "MatMul"):
        assert {value.dtype for value in (*node.inputs, *node.outputs) if value is not None} == {HALF}


def test_tied_weights_are_stored_once() -> None:
    graph = exported("masked_lm")
    quantize(graph, "masked_lm")
    large = [value for value in graph.graph.initializers.values() if value.const_value.size >= 300 * 32]
    assert [value.name for value in large] == ["distilbert.embeddings.word_embeddings.weight_quantized"]


def test_the_range_of_fp16_is_proven() -> None:
    (verdict,) = quantize(exported()).verdicts
    assert verdict
    assert verdict.limit == 65504
    graph = exported()
    value = graph.graph.initializers["distilbert.transformer.layer.1.ffn.lin2.weight"]
    value.const_value = onnx_ir.tensor(value.const_value.numpy() * np.float32(3e4), name=value.name)
    (verdict,) = quantize(graph).verdicts
    assert not verdict
    assert re.search(r"lin2/|layer\.1/", verdict.reason)


def test_what_is_excluded_is_fp16() -> None:
    graph = exported()
    quantize(graph, exclude=("*.ffn.lin2", "embeddings.*"))
    halves = {value.name for value in graph.graph.initializers.values() if value.dtype == HALF}
    assert "distilbert.embeddings.word_embeddings.weight_fp16" in halves
    assert "distilbert.transformer.layer.0.ffn.lin2.weight_fp16" in halves
    assert "distilbert.transformer.layer.0.ffn.lin1.weight_quantized" in graph.graph.initializers


def test_attention_in_8_bits_is_no_plan_for_signed_activations() -> None:
    with pytest.raises(UsageError, match="signed_activations"):
        Plan(scheme=NAME, signed_activations=True, quantize_attention=True)


def test_scales_are_rounded_up_to_normal_numbers_of_fp16() -> None:
    wanted = np.array([1e-9, SMALLEST_HALF, 0.01, 0.3, 700.0], dtype=np.float32)
    found = in_half(wanted)
    assert (found == found.astype(np.float16).astype(np.float32)).all()
    assert (found >= wanted).all()
    assert found[0] == np.float32(SMALLEST_HALF)
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=1e-3)
    with pytest.raises(OverflowError):
        in_half(np.float32(1e6))


def test_weights_fit_the_scales_that_were_rounded() -> None:
    array = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
    array[:, 2] *= 1e-6
    numbers, scales = weights.quantize("w", array, axis=1, grid=grids.INTEGERS[8], half=True)
    assert np.abs(numbers.astype(int)).max() <= 127
    assert (np.abs(numbers * scales - array) <= scales * 0.5001).all()
