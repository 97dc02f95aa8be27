"""The schemes with 8-bit products and fp16 around them: what TensorRT needs in the graph, and the answers."""

import re

import numpy as np
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import UsageError
from pipeline.graph.file import check
from pipeline.graph.values import array_of
from pipeline.precision.numbers.scales import SMALLEST_HALF
from tests.graphs import LAYERS, answer, exported, feeds, relative_error
from tests.unit.pipeline.precision.quantized import (
    HEAD,
    TIED,
    change_weight,
    large_weights,
    linears,
    nodes,
    quantize,
    quantized,
)

INTEGERS, FLOATS = "int8_static_fp16", "fp8_static_fp16"
FLOAT, HALF = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16
INT8, E4M3 = onnx_ir.DataType.INT8, onnx_ir.DataType.FLOAT8E4M3FN
LIN1, LIN2 = "distilbert.transformer.layer.0.ffn.lin1", "distilbert.transformer.layer.0.ffn.lin2"

every_scheme = pytest.mark.parametrize("scheme", [INTEGERS, FLOATS])
both_kinds_of_heads = pytest.mark.parametrize("head", [HEAD, TIED])


@every_scheme
@pytest.mark.parametrize("head", heads.names())
def test_answers_of_every_head_stay_near(head: str, scheme: str) -> None:
    inputs = feeds(head, 3, 9, seed=50)
    made = quantized(scheme, head)
    check(made.graph)
    assert made.counts["int8_embeddings"] == 2
    assert made.counts["int8_static" if scheme == INTEGERS else "fp8_static"] == linears(head)
    for actual, expected in zip(answer(made.graph, inputs), answer(exported(head), inputs), strict=True):
        assert actual.dtype == np.float32
        # Both give relative errors of 0.09 at most; a doubled weight of the feed-forward layer gives 0.22 to 0.60
        assert relative_error(actual, expected) < 0.12


@every_scheme
@both_kinds_of_heads
def test_numbers_are_symmetric_on_normal_scales_of_fp16(head: str, scheme: str) -> None:
    round_trips = list(nodes(quantized(scheme, head).graph, "QuantizeLinear", "DequantizeLinear"))
    assert round_trips
    for node in round_trips:
        scale, zero_point = array_of(node.inputs[1]), array_of(node.inputs[2])
        assert scale is not None
        assert zero_point is not None
        assert scale.dtype == np.float16
        assert (scale >= np.float16(SMALLEST_HALF)).all()
        assert not zero_point.astype(np.float32).any()
        # An untied table is stored in integers by both schemes
        untied = "position" in node.name or ("embeddings" in node.name and head != TIED)
        assert node.inputs[2].dtype == (INT8 if scheme == INTEGERS or untied else E4M3)


@every_scheme
@both_kinds_of_heads
def test_tensorrt_finds_stored_numbers_at_dequantizelinear_only(head: str, scheme: str) -> None:
    graph = quantized(scheme, head).graph
    stored = [value for value in graph.graph.initializers.values() if value.dtype in (INT8, E4M3)]
    assert {value.dtype for value in stored} == ({INT8} if scheme == INTEGERS else {INT8, E4M3})
    for value in stored:
        assert {use.node.op_type for use in value.uses()} <= {"DequantizeLinear", "QuantizeLinear"}
    for node in graph.graph:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            values = [value for value in (*node.inputs, *node.outputs) if value is not None]
            assert not {value.dtype for value in values} & {INT8, E4M3}


@every_scheme
def test_attention_is_fp16_and_sums_stay_in_float32(scheme: str) -> None:
    graph = quantized(scheme).graph
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


@every_scheme
def test_tied_weights_are_stored_once(scheme: str) -> None:
    (words,) = large_weights(quantized(scheme, TIED).graph)
    assert words.name == "distilbert.embeddings.word_embeddings.weight_quantized"
    assert words.dtype == (INT8 if scheme == INTEGERS else E4M3)


@every_scheme
def test_the_range_of_fp16_is_checked_on_the_quantized_graph(scheme: str) -> None:
    (verdict,) = quantized(scheme).result.verdicts
    assert verdict
    assert verdict.limit == 65504


@every_scheme
def test_a_value_beyond_fp16_fails_and_is_named(scheme: str) -> None:
    graph = exported()
    change_weight(graph, "distilbert.transformer.layer.1.ffn.lin2.weight", lambda weight: weight * 3e4)
    (verdict,) = quantize(graph, scheme).verdicts
    assert not verdict
    assert re.search(r"lin2/|layer\.1/", verdict.reason)


@every_scheme
def test_excluded_modules_are_fp16(scheme: str) -> None:
    graph = quantized(scheme, exclude=("*.ffn.lin2", "embeddings.*")).graph
    halves = {value.name for value in graph.graph.initializers.values() if value.dtype == HALF}
    assert "distilbert.embeddings.word_embeddings.weight_fp16" in halves
    assert f"{LIN2}.weight_fp16" in halves
    assert graph.graph.initializers[f"{LIN1}.weight_quantized"].dtype == (
        INT8 if scheme == INTEGERS else E4M3
    )


def test_fp8_refuses_a_calibration_that_assumes_equal_steps() -> None:
    with pytest.raises(UsageError, match="fp8 does not take calibration 'entropy'"):
        quantize(exported(), FLOATS, calibration="entropy")


def test_fp8_values_beyond_the_range_saturate() -> None:
    """In ONNX Runtime, which stands for the engine where there is no device."""
    graph, inputs = exported(), feeds(HEAD, 2, 7, seed=3)
    quantize(graph, FLOATS)
    for name in list(graph.graph.initializers):
        if name.endswith(".input_scale"):
            change_weight(graph, name, lambda scale: scale / 64)
    assert np.isfinite(answer(graph, inputs)[0]).all()
