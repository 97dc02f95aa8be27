"""Position embeddings as the first rows of their table."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.positions import counted
from pipeline.passes.matching.rewriting import Operators, rewrite
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Positions:
    """One match of the pattern."""

    places: onnx_ir.Value
    """The table of position embeddings, (positions, channels)."""

    positions: onnx_ir.Value
    """The tokens' positions, (1, tokens)."""

    output: onnx_ir.Value
    """The positions' embeddings, (1, tokens, channels)."""


@graph_pass("sliced_positions", per_graph=1)
def sliced_positions(graph: Graph) -> PassResult:
    """A Gather of positions that count from 0 as a Slice of its table.

    ONNX Runtime counts positions on the CPU and copies them to a device. A CUDA graph would repeat the copy, but not
    the counting; the ends of a Slice are part of the graph.
    """
    return rewrite(graph, _pattern, _Positions, check=_check, build=_build)


def _pattern(op: Operators, places: onnx_ir.Value, positions: onnx_ir.Value) -> onnx_ir.Value:
    return op.Gather(places, positions, axis=0, _outputs=["output"])


def _check(match: _Positions) -> None:
    positions = match.positions
    array = array_of(match.places)
    if array is None or array.ndim != 2:
        raise RefusalError(f"{match.places.name} is not a table of embeddings", match.output)
    shape = positions.shape
    if counted(positions) is None or shape is None or len(shape) != 2 or shape[0] != 1:
        raise RefusalError(f"positions {positions.name} of shape {shape} do not count from 0", match.output)


def _build(match: _Positions, builder: Builder) -> onnx_ir.Value:
    tokens = counted(match.positions)
    assert tokens is not None
    shape = shape_of(match.output)
    first = builder.sizes(0)
    end = builder.add("Unsqueeze", [tokens, first], label="tokens", shape=[1], dtype=onnx_ir.DataType.INT64)
    rows = builder.add("Slice", [match.places, first, end, first], shape=shape[1:])
    return builder.add("Unsqueeze", [rows, first], shape=shape)
