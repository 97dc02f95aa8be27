"""fp16: the graph computes in half precision except where it must not, and its range is proven."""

import numpy as np
import onnx
import onnx_ir
import pytest

from model_src import heads
from pipeline.errors import StageError, UsageError
from pipeline.graph.file import Graph, check
from pipeline.precision import Transformed, schemes
from pipeline.recipe.plan import Plan
from tests.graphs import LAYERS, answer, calibration, exported, feeds

FLOAT, HALF = onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT16
LARGEST = 65504


def convert(graph: Graph, head: str = "sequence_classification", **changes: object) -> Transformed:
    return schemes.find("fp16").run(graph, Plan(scheme="fp16", **changes), calibration(head))  # type: ignore[arg-type]


def scale(graph: Graph, name: str, factor: float) -> None:
    value = graph.graph.initializers[name]
    value.const_value = onnx_ir.tensor((value.const_value.numpy() * factor).astype(np.float32), name=name)


@pytest.mark.parametrize("head", heads.names())
def test_answers_stay_near_and_inputs_and_outputs_keep_their_types(head: str) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=4)
    # A row that is masked throughout must stay finite.
    inputs["attention_mask"][0] = 0
    expected = answer(graph, inputs)
    before = [(value.name, value.dtype) for value in (*graph.graph.inputs, *graph.graph.outputs)]
    convert(graph, head)
    check(graph)
    assert [(value.name, value.dtype) for value in (*graph.graph.inputs, *graph.graph.outputs)] == before
    for found, wanted in zip(answer(graph, inputs), expected, strict=True):
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        # Beside its scores of -10000 a masked row's are rounded to 8.
        np.testing.assert_allclose(found[1:], wanted[1:], rtol=0, atol=0.02)


def test_what_sums_up_stays_in_float32_and_nothing_else() -> None:
    graph = exported()
    convert(graph)
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
    graph = exported()
    convert(graph)
    casts = [
        (node.inputs[0], node.attributes.get_int("to", 0)) for node in graph.graph if node.op_type == "Cast"
    ]
    assert len(casts) == len(set(casts))
    # into and out of each norm and softmax, the mask's own, and the output's
    assert len(casts) <= 2 * (2 * LAYERS + 1) + 2 * LAYERS + 2


def test_tied_weights_are_stored_once() -> None:
    graph = exported("masked_lm")
    convert(graph, "masked_lm")
    large = [value for value in graph.graph.initializers.values() if value.const_value.size >= 300 * 32]
    assert [value.name for value in large] == ["distilbert.embeddings.word_embeddings.weight_fp16"]


def test_the_range_is_proven_with_the_largest_value_and_its_name() -> None:
    done = convert(exported())
    (verdict,) = done.verdicts
    assert verdict
    assert verdict.check == "largest value cast to fp16 on the calibration data"
    assert verdict.comparison == "at most"
    assert verdict.limit == LARGEST
    # a masked score
    assert 10000 <= verdict.observed < 10100
    assert "attention/Add" in verdict.reason


def test_a_value_beyond_the_range_fails_and_is_named() -> None:
    graph = exported()
    scale(graph, "distilbert.transformer.layer.1.ffn.lin2.weight", 3e4)
    (verdict,) = convert(graph).verdicts
    assert not verdict
    assert verdict.observed > LARGEST
    assert "distilbert.transformer.layer.1.ffn.lin2/" in verdict.reason or "layer.1/Add_1" in verdict.reason


def test_a_weight_beyond_the_range_is_named_with_a_way_out() -> None:
    graph = exported()
    scale(graph, "pre_classifier.weight", 1e6)
    with pytest.raises(StageError, match=r"(?s)pre_classifier.weight holds .*exclude = \['pre_classifier'\]"):
        convert(graph)
    graph = exported()
    scale(graph, "pre_classifier.weight", 1e6)
    convert(graph, exclude=("pre_classifier",))


def test_an_exclude_that_names_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'pre_classifier'"):
        convert(exported(), exclude=("pre_classifiers",))


def test_an_excluded_layer_computes_in_float32() -> None:
    graph = exported()
    convert(graph, exclude=("classifier",))
    (node,) = (node for node in graph.graph if node.name == "classifier/Gemm")
    assert {value.dtype for value in (*node.inputs, *node.outputs)} == {FLOAT}


def test_weights_that_become_zero_are_counted() -> None:
    graph = exported()
    assert convert(exported()).notes == ()
    scale(graph, "classifier.weight", 1e-9)
    (note,) = convert(graph).notes
    assert note.startswith("96 of ")


def test_no_calibration_data_is_an_error() -> None:
    with pytest.raises(StageError, match="no calibration data"):
        schemes.find("fp16").run(exported(), Plan(scheme="fp16"), lambda: iter(()))


def test_nan_on_the_calibration_data_is_named() -> None:
    graph = exported()
    scale(graph, "distilbert.embeddings.LayerNorm.bias", np.nan)
    with pytest.raises(StageError, match=r"in fp32, .* holds NaN or infinity"):
        convert(graph)


def test_the_proof_leaves_nothing_in_the_graph() -> None:
    graph = exported()
    convert(graph)
    assert not {"Abs", "ReduceMax"} & {node.op_type for node in graph.graph}
    assert [value.name for value in graph.graph.outputs] == ["logits"]
