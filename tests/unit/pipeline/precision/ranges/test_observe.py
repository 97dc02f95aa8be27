"""Values inside a graph on calibration data, against what ONNX Runtime computes for each batch alone."""

import numpy as np
import onnx_ir
import pytest

from pipeline.errors import StageError
from pipeline.graph.file import Graph
from pipeline.precision.ranges import observe
from tests.graphs import answer, exported, feeds
from tests.unit.pipeline.precision.quantized import node_named

INNER = "distilbert.transformer.layer.1.ffn.lin1/Add"


def batches() -> list[dict[str, np.ndarray]]:
    return [
        dict(feeds("sequence_classification", 2 + index, 4 + 3 * index, seed=index)) for index in range(3)
    ]


def test_statistics_are_those_of_the_real_tokens_of_all_batches() -> None:
    graph = exported()
    value = node_named(graph, INNER).outputs[0]
    gathered = observe.statistics(graph, [value], batches, histogram=True)[str(value.name)]
    shown = graph.clone()
    shown.graph.outputs.append(node_named(shown, INNER).outputs[0])
    rows = np.concatenate([answer(shown, batch)[1][batch["attention_mask"] != 0] for batch in batches()])
    # The session here keeps the graph as it is, so sums may be in another order: 1e-5 of values around 1
    assert gathered.low == pytest.approx(rows.min(), abs=1e-5)
    assert gathered.high == pytest.approx(rows.max(), abs=1e-5)
    np.testing.assert_allclose(gathered.channels, np.abs(rows).max(axis=0), atol=1e-5)
    assert gathered.histogram is not None
    assert gathered.histogram.counts.sum() == rows.size


def test_the_graph_is_as_before() -> None:
    graph = exported()
    before = list(graph.graph.outputs)
    observe.statistics(graph, [node_named(graph, INNER).outputs[0]], batches, histogram=False)
    assert list(graph.graph.outputs) == before


def test_nothing_runs_where_nothing_is_asked_for() -> None:
    assert observe.statistics(exported(), [], lambda: iter(()), histogram=False) == {}


def test_no_batch_is_an_error() -> None:
    graph = exported()
    with pytest.raises(StageError, match=r"no calibration data: not one batch\n.*--calibration"):
        observe.statistics(graph, [node_named(graph, INNER).outputs[0]], lambda: iter(()), histogram=False)


def test_batches_of_another_graph_are_an_error() -> None:
    graph = exported()
    strange = {"pixels": np.zeros((1, 2), dtype=np.int64)}
    with pytest.raises(
        StageError, match=r"needs the inputs input_ids, attention_mask, but the calibration data has pixels"
    ):
        observe.statistics(graph, [node_named(graph, INNER).outputs[0]], lambda: [strange], histogram=False)


def test_a_graph_may_read_ids_of_another_type() -> None:
    """Other exporters write int32."""
    graph, expected = exported(), exported()
    for given in tuple(graph.graph.inputs):
        cast = onnx_ir.node("Cast", [given], {"to": int(onnx_ir.DataType.INT64)}, name=f"{given.name}/Cast")
        given.replace_all_uses_with(cast.outputs[0])
        cast.replace_input_with(0, given)
        given.dtype = onnx_ir.DataType.INT32
        graph.graph.insert_before(graph.graph[0], cast)

    def low(of: Graph) -> float:
        value = node_named(of, INNER).outputs[0]
        return observe.statistics(of, [value], batches, histogram=False)[str(value.name)].low

    assert low(graph) == low(expected)


def test_a_graph_of_a_fixed_size_is_an_error() -> None:
    graph = exported()
    graph.graph.inputs[0].shape = onnx_ir.Shape([2, 9])
    with pytest.raises(
        StageError,
        match=r"input input_ids has the shape \(2, 9\), and a batch .* has \(2, 4\)\n.*no fixed size",
    ):
        observe.statistics(graph, [node_named(graph, INNER).outputs[0]], batches, histogram=False)
