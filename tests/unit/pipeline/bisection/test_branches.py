"""Graphs without branches give the same answers, with and without padding."""

import numpy as np

from pipeline.bisection.branches import keep_else
from pipeline.passes import base, registry
from tests.graphs import LAYERS, answer, exported, feeds


def test_the_else_branch_is_right_for_every_mask() -> None:
    graph, padded = exported(), feeds("sequence_classification", 3, 9)
    whole = {**padded, "attention_mask": np.ones_like(padded["attention_mask"])}
    expected = [answer(graph, inputs)[0] for inputs in (padded, whole)]
    base.apply(graph, [registry.find("mask_where_needed")])
    assert sum(node.op_type == "If" for node in graph.graph) == LAYERS
    assert keep_else(graph) == LAYERS
    assert not any(node.op_type == "If" for node in graph.graph)
    for inputs, logits in zip((padded, whole), expected, strict=True):
        # Sums of float32 in another order
        np.testing.assert_allclose(answer(graph, inputs)[0], logits, rtol=0, atol=1e-5)
    assert keep_else(graph) == 0


def test_nothing_reads_values_from_a_branch_that_is_gone() -> None:
    graph = exported()
    base.apply(graph, [registry.find("mask_where_needed")])
    keep_else(graph)
    nodes = set(graph.graph)
    assert all(use.node in nodes for node in graph.graph for value in node.outputs for use in value.uses())
