"""The largest magnitude of values inside a graph, against what ONNX Runtime computes for them."""

import numpy as np
import pytest

from pipeline.precision.half_precision import magnitudes
from tests.graphs import answer, exported, feeds
from tests.unit.pipeline.precision.quantized import HEAD, node_named

NAMES = ("distilbert.transformer.layer.0.ffn.lin1/Add", "distilbert.transformer.layer.1.ffn.lin2/Add")


def batches() -> list[dict[str, np.ndarray]]:
    return [dict(feeds(HEAD, 2, 4 + 3 * index, seed=index)) for index in range(3)]


def test_it_is_taken_over_all_values_and_batches_with_padding() -> None:
    graph = exported()
    values = [node_named(graph, name).outputs[0] for name in NAMES]
    shown = graph.clone()
    shown.graph.outputs.extend(node_named(shown, name).outputs[0] for name in NAMES)
    largest = np.zeros(len(NAMES))
    for batch in batches():
        _, *arrays = answer(shown, batch)
        largest = np.maximum(largest, [np.abs(array).max() for array in arrays])
    magnitude = magnitudes.largest(graph, values, batches)
    assert magnitude.name == values[int(largest.argmax())].name
    # Sums of float32 in another order
    assert magnitude.value == pytest.approx(largest.max(), rel=1e-5)


def test_the_graph_is_as_before() -> None:
    graph = exported()
    before = [node.name for node in graph.graph]
    magnitudes.largest(graph, [node_named(graph, name).outputs[0] for name in NAMES], batches)
    assert [node.name for node in graph.graph] == before
