"""8-bit floating products with fp16 around them: the numbers, what TensorRT asks of such a graph, and the answers."""

from collections.abc import Iterator

import ml_dtypes
import numpy as np
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import StageError, UsageError
from pipeline.graph.file import Graph, check
from pipeline.graph.values import array_of
from pipeline.passes import base, fusions
from pipeline.precision import Transformed, schemes
from pipeline.precision.floats.floating import LARGEST, floating_range
from pipeline.precision.ranges import grids
from pipeline.precision.ranges.ranges import Statistics
from pipeline.precision.weights import weights
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds, relative_error

HALF, INT8, E4M3 = onnx_ir.DataType.FLOAT16, onnx_ir.DataType.INT8, onnx_ir.DataType.FLOAT8E4M3FN
NAME = "fp8_static_fp16"
# All finite numbers of the kind
NUMBERS = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
FINITE = np.unique(NUMBERS[np.isfinite(NUMBERS)])

every_head = pytest.mark.parametrize("head", heads.names())


def quantize(graph: Graph, head: str = "sequence_classification", **changes: object) -> Transformed:
    base.apply(graph, [fusions.find("attention_onnx")])
    plan = Plan(scheme=NAME, **changes)  # type: ignore[arg-type]
    return schemes.find(NAME).run(graph, plan, calibration(head))


def nodes(graph: Graph, *op_types: str) -> Iterator[onnx_ir.Node]:
    return (node for node in graph.graph if node.op_type in op_types)


def seen(values: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Statistics:
    found = Statistics("x", histogram=True)
    found.add(values)
    return found


@every_head
def test_answers_stay_near(head: str) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    done = quantize(graph, head)
    check(graph)
    counts = {record.name: record.rewrites for record in done.passes}
    assert counts["int8_embeddings"] == 2
    assert counts["fp8_static"] >= 6 * LAYERS
    for found, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert found.dtype == np.float32
        assert relative_error(found, wanted) < 0.15


@every_head
def test_layers_are_e4m3_without_zero_points_and_embeddings_whole_numbers(head: str) -> None:
    graph = exported(head)
    quantize(graph, head)
    found = list(nodes(graph, "QuantizeLinear", "DequantizeLinear"))
    assert found
    for node in found:
        scale, zero_point = array_of(node.inputs[1]), array_of(node.inputs[2])
        assert scale is not None
        assert zero_point is not None
        assert scale.dtype == np.float16
        assert not zero_point.astype(np.float32).any()
        table = "embeddings" in node.name and head != "masked_lm"
        assert node.inputs[2].dtype == (INT8 if table or "position" in node.name else E4M3)


@every_head
def test_tensorrt_meets_stored_numbers_at_dequantizelinear_alone(head: str) -> None:
    graph = exported(head)
    quantize(graph, head)
    stored = [value for value in graph.graph.initializers.values() if value.dtype in (INT8, E4M3)]
    assert {value.dtype for value in stored} == {INT8, E4M3}
    for value in stored:
        assert {use.node.op_type for use in value.uses()} <= {"DequantizeLinear", "QuantizeLinear"}


def test_tied_weights_are_stored_once() -> None:
    graph = exported("masked_lm")
    quantize(graph, "masked_lm")
    large = [value for value in graph.graph.initializers.values() if value.const_value.size >= 300 * 32]
    assert [value.name for value in large] == ["distilbert.embeddings.word_embeddings.weight_quantized"]
    assert large[0].dtype == E4M3


def test_the_range_of_fp16_is_proven_on_the_quantized_graph() -> None:
    (verdict,) = quantize(exported()).verdicts
    assert verdict
    assert verdict.limit == 65504


def test_what_is_excluded_is_fp16() -> None:
    graph = exported()
    quantize(graph, exclude=("*.ffn.lin2",))
    assert graph.graph.initializers["distilbert.transformer.layer.0.ffn.lin2.weight_fp16"].dtype == HALF
    assert graph.graph.initializers["distilbert.transformer.layer.0.ffn.lin1.weight_quantized"].dtype == E4M3


@pytest.mark.parametrize(
    ("asked", "value"), [("weight_bits", 7), ("quantize_attention", True), ("signed_activations", True)]
)
def test_what_is_for_whole_numbers_is_refused(asked: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{NAME} has no {asked}, found {value}"):
        quantize(exported(), **{asked: value})


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_a_calibration_that_counts_equal_steps_is_refused(method: str) -> None:
    with pytest.raises(UsageError, match=f"fp8 has no calibration '{method}'"):
        quantize(exported(), calibration=method)


def test_weights_become_the_nearest_numbers_of_the_grid_and_the_largest_its_largest() -> None:
    array = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
    array[:, 3] = 0.0
    numbers, scales = weights.quantize("w", array, axis=1, grid=grids.E4M3)
    assert numbers.dtype == ml_dtypes.float8_e4m3fn
    found = numbers.astype(np.float64)
    scaled = (array / scales).astype(np.float64)
    distances = np.abs(scaled[..., None] - FINITE)
    np.testing.assert_array_equal(np.abs(scaled - found), distances.min(axis=-1))
    largest = np.abs(found).max(axis=0)
    assert largest[3] == 0
    assert (np.delete(largest, 3) == grids.E4M3.largest).all()


def test_minmax_reaches_the_largest_value_and_mse_gives_up_an_outlier() -> None:
    values = np.random.default_rng(1).standard_normal((4096, 4)).astype(np.float32) * np.float32(1e-4)
    values[0, 0] = -3.0
    assert floating_range(seen(values), "minmax").largest == pytest.approx(3.0)
    spread = np.random.default_rng(2).uniform(-1, 1, (4096, 4)).astype(np.float32)
    narrower = floating_range(seen(spread), "mse")
    assert narrower.largest <= np.abs(spread).max()

    def lost(end: float) -> float:
        held = np.clip(spread * (LARGEST / end), -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
        return float(np.square(held.astype(np.float32) * (end / LARGEST) - spread).sum())

    assert lost(narrower.largest) <= lost(float(np.abs(spread).max())) * 1.01


def test_no_value_is_no_range() -> None:
    with pytest.raises(StageError, match="gave no value for x"):
        floating_range(Statistics("x", histogram=False), "minmax")


def test_values_beyond_the_range_saturate() -> None:
    """By ONNX Runtime, which answers for the engine where there is no device."""
    graph, inputs = exported(), feeds("sequence_classification", 2, 7, seed=3)
    quantize(graph)
    for name, value in graph.graph.initializers.items():
        if name.endswith(".input_scale"):
            scale = value.const_value.numpy()
            value.const_value = onnx_ir.tensor((scale / scale.dtype.type(64)).astype(scale.dtype), name=name)
    assert np.isfinite(answer(graph, inputs)[0]).all()
