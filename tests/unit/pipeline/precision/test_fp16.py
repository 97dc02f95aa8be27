"""fp16: the graph computes in half precision except where it must not, and its range is checked."""

import numpy as np
import onnx
import onnx_ir
import pytest
from distilforge.manifest import Verdict

from model_src import heads
from pipeline.errors import StageError, UsageError
from pipeline.graph.file import Graph, check
from pipeline.precision import Calibration, CalibrationAndEvaluation, schemes
from pipeline.recipe.plan import Plan
from pipeline.stages.transform import transform
from tests.graphs import LAYERS, answer, calibration, exported, feeds, operators, relative_error, torchscript
from tests.unit.pipeline.precision.quantized import (
    TIED,
    change_weight,
    large_weights,
    node_named,
    quantize,
    quantized,
)

FLOAT, HALF = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16
FP16 = "fp16"
LARGEST = 65504


def scaled(name: str, factor: float) -> Graph:
    """The graph with one weight multiplied."""
    graph = exported()
    change_weight(graph, name, lambda weight: weight * factor)
    return graph


@pytest.mark.parametrize("head", heads.names())
def test_answers_stay_near_and_inputs_and_outputs_keep_their_types(head: str) -> None:
    before, after, inputs = exported(head), quantized(FP16, head).graph, feeds(head, 3, 9, seed=4)
    # A row that is masked throughout must stay finite.
    inputs["attention_mask"][0] = 0
    check(after)
    kept = [
        [(value.name, value.dtype) for value in (*graph.graph.inputs, *graph.graph.outputs)]
        for graph in (before, after)
    ]
    assert kept[0] == kept[1]
    for actual, expected in zip(answer(after, inputs), answer(before, inputs), strict=True):
        assert actual.dtype == np.float32
        assert np.isfinite(actual).all()
        # Answers reach 4, where fp16's step is 0.004, and rounding adds up over two layers. The masked row is left
        # out: its scores are near -10000, where the step is 8.
        np.testing.assert_allclose(actual[1:], expected[1:], rtol=0, atol=0.02)


def test_only_operators_that_sum_stay_in_float32() -> None:
    graph = quantized(FP16).graph
    for node in graph.graph:
        kinds = {value.dtype for value in (*node.inputs, *node.outputs) if value is not None} & {FLOAT, HALF}
        if node.op_type in ("LayerNormalization", "Softmax"):
            assert kinds == {FLOAT}
        elif node.op_type != "Cast":
            assert kinds <= {HALF}, node.name
    halves = [value for value in graph.graph.initializers.values() if value.dtype == HALF]
    floats = [value for value in graph.graph.initializers.values() if value.dtype == FLOAT]
    assert {value.name.rpartition(".")[0].rpartition(".")[2] for value in floats} == {
        "LayerNorm",
        "sa_layer_norm",
        "output_layer_norm",
    }
    assert sum("word_embeddings" in value.name for value in halves) == 1
    onnx.checker.check_model(onnx_ir.to_proto(graph), full_check=True)


def test_no_value_is_cast_twice() -> None:
    graph = quantized(FP16).graph
    casts = [
        (node.inputs[0], node.attributes.get_int("to", 0)) for node in graph.graph if node.op_type == "Cast"
    ]
    assert len(casts) == len(set(casts))
    # Into and out of each norm and softmax, one of the mask, and one of the output
    assert len(casts) <= 2 * (2 * LAYERS + 1) + 2 * LAYERS + 2


def test_tied_weights_are_stored_once() -> None:
    (words,) = large_weights(quantized(FP16, TIED).graph)
    assert words.name == "distilbert.embeddings.word_embeddings.weight_fp16"


def test_the_verdict_has_the_largest_value_and_its_name() -> None:
    (verdict,) = quantized(FP16).result.verdicts
    assert verdict
    assert verdict.check == "largest value cast to fp16 on the calibration data"
    assert verdict.comparison == "at most"
    assert verdict.limit == LARGEST
    # A masked score: -10000 is added to it
    assert 10000 <= verdict.observed < 10100
    assert "attention/Add" in verdict.reason


def test_a_value_beyond_the_range_fails_and_is_named() -> None:
    (verdict,) = quantize(scaled("distilbert.transformer.layer.1.ffn.lin2.weight", 3e4), FP16).verdicts
    assert not verdict
    assert verdict.observed > LARGEST
    assert "distilbert.transformer.layer.1.ffn.lin2/" in verdict.reason or "layer.1/Add_1" in verdict.reason


def test_the_evaluation_data_are_checked_too() -> None:
    padded = dict(feeds("sequence_classification", 2, 9))
    assert (padded["attention_mask"] == 0).any()
    whole = padded | {"attention_mask": np.ones_like(padded["attention_mask"])}

    def verdict(calibration: Calibration) -> Verdict:
        (verdict,) = schemes.find(FP16).run(exported(), Plan(scheme=FP16), calibration).verdicts
        return verdict

    # Only the scores of padding reach -10000, and only the evaluation data have padding
    assert verdict(lambda: iter([whole])).observed < 1000
    both = verdict(CalibrationAndEvaluation(calibration=lambda: [whole], evaluation=lambda: [padded]))
    assert both.observed >= 10000
    assert both.check == "largest value cast to fp16 on the calibration and evaluation data"


def test_a_weight_beyond_the_range_is_named_with_a_way_out() -> None:
    with pytest.raises(StageError, match=r"(?s)pre_classifier.weight holds .*exclude 'pre_classifier'"):
        quantize(scaled("pre_classifier.weight", 1e6), FP16)
    quantize(scaled("pre_classifier.weight", 1e6), FP16, exclude=("pre_classifier",))


def test_an_exclude_that_names_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'pre_classifier'"):
        quantize(exported(), FP16, exclude=("pre_classifiers",))


def test_an_excluded_layer_computes_in_float32() -> None:
    node = node_named(quantized(FP16, exclude=("classifier",)).graph, "classifier/Gemm")
    assert {value.dtype for value in (*node.inputs, *node.outputs)} == {FLOAT}


def test_the_bias_of_an_excluded_layer_is_added_in_float32() -> None:
    excluded = quantized(FP16, exclude=("*.ffn.lin2",)).graph
    node = node_named(excluded, "distilbert.transformer.layer.1.ffn.lin2/Add")
    assert {value.dtype for value in (*node.inputs, *node.outputs)} == {FLOAT}
    quantize(scaled("distilbert.transformer.layer.1.ffn.lin2.bias", 1e6), FP16, exclude=("*.ffn.lin2",))


@pytest.mark.parametrize("head", ["sequence_classification", TIED])
def test_an_excluded_table_stays_in_float32(head: str) -> None:
    after = quantized(FP16, head, exclude=("embeddings.*",)).graph
    check(after)
    tables = [node for node in after.graph if node.op_type == "Gather" and "embeddings" in str(node.name)]
    assert len(tables) == 2
    assert {node.outputs[0].dtype for node in tables} == {FLOAT}
    inputs = feeds(head, 3, 9, seed=4)
    for actual, expected in zip(answer(after, inputs), answer(exported(head), inputs), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=0.02)


def test_weights_that_become_zero_are_counted() -> None:
    assert quantized(FP16).result.notes == ()
    (note,) = quantize(scaled("classifier.weight", 1e-9), FP16).notes
    # Three labels of 32 channels
    assert note.startswith("96 of ")


def test_no_calibration_data_is_an_error() -> None:
    with pytest.raises(StageError, match="no calibration data"):
        schemes.find(FP16).run(exported(), Plan(scheme=FP16), lambda: iter(()))


def test_nan_on_the_calibration_data_is_named() -> None:
    with pytest.raises(StageError, match=r"in fp32, .* holds NaN or infinity"):
        quantize(scaled("distilbert.embeddings.LayerNorm.bias", np.nan), FP16)


def test_the_check_leaves_nothing_in_the_graph() -> None:
    graph = quantized(FP16).graph
    assert not {"Abs", "ReduceMax"} & {node.op_type for node in graph.graph}
    assert [value.name for value in graph.graph.outputs] == ["logits"]


def test_a_graph_of_torchscript_stays_valid() -> None:
    """Its constants are nodes."""
    before, after = torchscript(), torchscript()
    assert operators(after)["Constant"]
    quantize(after, FP16)
    inputs = feeds("sequence_classification", 3, 9, seed=4)
    for actual, expected in zip(answer(after, inputs), answer(before, inputs), strict=True):
        assert relative_error(actual, expected) < 0.01


def test_a_value_of_unknown_type_is_refused() -> None:
    """As in files of other tools, whose fused operators ONNX does not know: a part would be converted."""
    graph = exported()
    transform(graph, Plan(passes=("skip_layer_norm",)), calibration())
    fused = next(node for node in graph.graph if node.op_type == "SkipLayerNormalization")
    fused.outputs[0].type = None
    with pytest.raises(
        StageError, match=r"the type of .* is not known.*\(com\.microsoft\.SkipLayerNorm"
    ) as caught:
        quantize(graph, FP16)
    assert "`distilforge export` writes one" in caught.value.hint


def test_a_constant_beyond_the_range_has_another_way_out() -> None:
    graph = torchscript()
    constant = next(node for node in graph.graph if node.op_type == "Constant" and is_masked_score(node))
    lowest = onnx_ir.tensor(np.array(np.finfo(np.float32).min))
    constant.attributes["value"] = onnx_ir.AttrTensor("value", lowest)
    with pytest.raises(StageError, match=r"holds 3\.4.*the largest fp16 number is 65504") as caught:
        quantize(graph, FP16)
    assert "the score of a masked token" in caught.value.hint


def is_masked_score(constant: onnx_ir.Node) -> bool:
    value = constant.attributes["value"].as_tensor().numpy()
    return bool(value.ndim == 0 and value == -10000)


def test_the_column_of_ones_of_flash_attention_is_converted() -> None:
    before, after = exported(n_heads=16), exported(n_heads=16)
    transform(after, Plan(passes=("attention_mha_flash",), scheme=FP16), calibration())
    check(after)
    assert operators(after)["ConstantOfShape"] == 1
    inputs = feeds("sequence_classification", 3, 9, seed=4)
    assert relative_error(answer(after, inputs)[0], answer(before, inputs)[0]) < 0.01


def test_branches_are_refused() -> None:
    plan = Plan(passes=("mask_where_needed",), scheme=FP16)
    with pytest.raises(StageError, match=r"has branches \(If\), which are not converted") as caught:
        transform(exported(), plan, calibration())
    assert "leave out the pass that writes it, as mask_where_needed does" in caught.value.hint
