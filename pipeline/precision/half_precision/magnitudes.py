"""The largest magnitude that any of many values inside a graph reaches on real texts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx_ir

from pipeline.errors import StageError
from pipeline.graph.file import Graph
from pipeline.precision import Batches
from pipeline.precision.ranges import observe


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnitude:
    """The magnitude of one value in a graph."""

    value: float
    """The largest over all batches."""
    name: str
    """The name of the value that reached it."""


def largest(graph: Graph, values: Sequence[onnx_ir.Value], batches: Batches) -> Magnitude:
    """The largest magnitude in `values` over all `batches`, padding included: it is computed too.

    Temporary nodes in the graph take the maxima, so that the values of a batch need not all be in memory at once.
    Raises StageError where there is no data, and for NaN and infinity.
    """
    highest = Magnitude(value=0.0, name="none")
    with _maxima(graph, values) as maxima:
        for _, arrays in observe.run_batches(graph, maxima, batches()):
            for value, array in zip(values, arrays, strict=True):
                magnitude = float(array)
                if not np.isfinite(magnitude):
                    raise StageError(
                        "quantize",
                        f"in fp32, {value.name} holds NaN or infinity on the calibration or evaluation data",
                        hint="look for broken weights, or for data that is not text for this model",
                    )
                if magnitude > highest.value:
                    highest = Magnitude(value=magnitude, name=str(value.name))
    return highest


@contextmanager
def _maxima(graph: Graph, values: Sequence[onnx_ir.Value]) -> Iterator[tuple[onnx_ir.Value, ...]]:
    """The largest magnitude in each of `values`, by nodes that are in the graph only within the context."""
    nodes = []
    for value in values:
        magnitude = onnx_ir.node("Abs", [value], name=f"{value.name}/Abs")
        maximum = onnx_ir.node(
            "ReduceMax", [magnitude.outputs[0]], {"keepdims": 0}, name=f"{value.name}/ReduceMax"
        )
        magnitude.outputs[0].name = f"{value.name}_magnitude"
        (output,) = maximum.outputs
        output.name, output.shape = f"{value.name}_maximum", onnx_ir.Shape([])
        output.type = value.type
        producer = value.producer()
        assert producer is not None
        graph.graph.insert_after(producer, [magnitude, maximum])
        nodes += [magnitude, maximum]
    try:
        yield tuple(node.outputs[0] for node in nodes[1::2])
    finally:
        graph.graph.remove(nodes, safe=True)
