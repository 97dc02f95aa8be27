"""Graphs without branches answer as before, with and without padding."""

import numpy as np

from pipeline.bisection.branches import keep_else
from pipeline.passes import base, fusions
from tests.graphs import answer, exported, ragged


def test_what_an_if_chose_is_always_computed() -> None:
    graph = exported("sequence_classification")
    feeds = ragged((3, 9))
    padded = answer(graph, feeds, optimized=False)
    whole = {**feeds, "attention_mask": np.ones_like(feeds["attention_mask"])}
    unpadded = answer(graph, whole, optimized=False)
    base.apply(graph, [fusions.find("mask_where_needed")])
    assert sum(node.op_type == "If" for node in graph.graph) == base.layers(graph)
    assert keep_else(graph) == base.layers(graph)
    assert not any(node.op_type == "If" for node in graph.graph)
    for before, given in ((padded, feeds), (unpadded, whole)):
        for one, other in zip(before, answer(graph, given, optimized=False), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    assert keep_else(graph) == 0
