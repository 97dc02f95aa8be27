"""Values inside a graph on calibration data, against what ONNX Runtime computes for each batch alone."""

import numpy as np
import pytest

from pipeline.errors import StageError
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
