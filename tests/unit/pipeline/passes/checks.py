"""Applying passes to the graphs of tests.graphs, and checks of what they did."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from pipeline.errors import ContractError
from pipeline.graph import file as graph_file
from pipeline.graph.file import Graph
from pipeline.passes import base, registry
from pipeline.passes.base import PassResult
from tests.graphs import LAYERS, Array, exported, pairwise, ragged, session

Fault = Callable[[Graph], None]
"""Changes a graph so that a pass has to leave a part of it as it is."""


def run(graph: Graph, *names: str) -> list[int]:
    """Apply passes under their contracts, check the graph, and return how many rewrites each made, in their order."""
    records = base.apply(graph, [registry.find(name) for name in names])
    graph_file.check(graph)
    return [record.rewrites for record in records]


def apply_freely(graph: Graph, name: str) -> PassResult:
    """Apply one pass without its contract, and check the graph."""
    result = registry.find(name).run(graph)
    graph_file.check(graph)
    return result


def assert_refused_in_one_layer(name: str, fault: Fault, reason: str) -> tuple[Graph, Graph]:
    """Check that pass `name` leaves the layer with `fault` for `reason`; return the graph before and after."""
    after = exported()
    fault(after)
    before = after.clone()
    with pytest.raises(
        ContractError, match=rf"{name} matched 1 times, must match at least {LAYERS} times.*{reason}"
    ):
        run(before.clone(), name)
    assert apply_freely(after, name).rewrites == LAYERS - 1
    return before, after


def shapes(head: str) -> list[tuple[int, ...]]:
    """Shapes of batches for `head`: ragged, of one or few tokens, and of as many as there may be."""
    return [(2, 3, 7), (1, 2, 1), (1, 1, 4)] if head == "multiple_choice" else [(3, 7), (2, 1), (2, 32)]


def assert_same(before: Graph, after: Graph, *batches: dict[str, Array]) -> None:
    """Equal answers wherever a text has something to attend to, and finite ones everywhere."""
    sessions = session(before, optimized=False), session(after, optimized=False)
    for batch in batches:
        attends = batch["attention_mask"].any(-1)
        if attends.ndim > batch["input_ids"].ndim - 1:
            attends = attends.all(-1)
        expected_outputs, outputs = (opened.run(None, batch) for opened in sessions)
        for expected, output in zip(expected_outputs, outputs, strict=True):
            assert output.shape == expected.shape
            assert np.isfinite(output).all()
            # A text masked throughout has 10000 subtracted from every score, which rounds them to 1e-3, and is not
            # compared. The others differ by the order of fp32 sums (6e-8 each) of activations that reach 10.
            np.testing.assert_allclose(output[attends], expected[attends], rtol=0, atol=3e-5)


def assert_same_for_pairwise_masks(name: str) -> None:
    """Check that pass `name` rewrites every layer where the mask says which token attends to which."""
    before, after = pairwise(), pairwise()
    assert run(after, name) == [LAYERS]
    masks = (np.tril(np.ones((3, 9, 9))), np.ones((3, 9, 9)), np.zeros((3, 9, 9)))
    assert_same(
        before, after, *(ragged((3, 9)) | {"attention_mask": mask.astype(np.int64)} for mask in masks)
    )


def assert_equal_to_the_bit(before: Graph, after: Graph, *batches: dict[str, Array]) -> None:
    """Identical answers, for texts that are masked throughout too."""
    sessions = session(before, optimized=False), session(after, optimized=False)
    for batch in batches:
        expected_outputs, outputs = (opened.run(None, batch) for opened in sessions)
        for expected, output in zip(expected_outputs, outputs, strict=True):
            assert np.isfinite(output).all()
            np.testing.assert_array_equal(output, expected)


def assert_names_are_unique_and_paths(graph: Graph) -> None:
    """Check that no two nodes share a name, and that each name leads to a module."""
    names = [node.name for node in graph.graph]
    assert len(set(names)) == len(names)
    assert all("/" in name for name in names)


def optimized_operators(graph: Graph) -> Counter[str]:
    """The operators that a session with default settings makes of the graph."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        graph_file.save(graph, path)
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
