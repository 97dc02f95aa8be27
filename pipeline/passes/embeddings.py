"""Word and position embeddings, their sum and its layer norm as one operator."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder, Output
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, dtype_of, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, epsilon_of, rewrite
from pipeline.passes.refusal import RefusalError

_INT32 = onnx_ir.DataType.INT32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Embeddings:
    """One match of the pattern."""

    word_table: onnx_ir.Value
    """The table of word embeddings, (vocabulary, channels)."""

    ids: onnx_ir.Value
    """The words' ids, (batch, tokens)."""

    position_table: onnx_ir.Value
    """The table of position embeddings, (positions, channels)."""

    positions: onnx_ir.Value
    """The tokens' positions, (1, tokens) or (batch, tokens)."""

    weight: onnx_ir.Value
    """The layer norm's weight, (channels)."""

    bias: onnx_ir.Value
    """The layer norm's bias, (channels)."""

    output: onnx_ir.Value
    """The normalized sum, (batch, tokens, channels)."""


@graph_pass("embeddings", emits=frozenset({MICROSOFT}), per_graph=1)
def embeddings(graph: Graph) -> PassResult:
    """The embeddings as com.microsoft EmbedLayerNormalization, ids cast to the int32 that it reads.

    The operator counts positions from 0, so positions that are a Range are dropped; any others are passed to it. As
    with Gather, an id beyond the table is an error. A negative id, which Gather counts from the end, is an error too.
    """
    return rewrite(graph, _pattern, _Embeddings, check=_check, build=_build)


def _pattern(
    op: Operators,
    word_table: onnx_ir.Value,
    ids: onnx_ir.Value,
    position_table: onnx_ir.Value,
    positions: onnx_ir.Value,
    weight: onnx_ir.Value,
    bias: onnx_ir.Value,
) -> onnx_ir.Value:
    word = op.Gather(word_table, ids, axis=0)
    place = op.Gather(position_table, positions, axis=0)
    return op.LayerNormalization(op.Add(word, place), weight, bias, axis=-1, _outputs=["output"])


def _check(match: _Embeddings) -> None:
    for table in (match.word_table, match.position_table):
        array = array_of(table)
        if array is None or array.ndim != 2 or array.shape[1:] != tuple(match.weight.shape or ()):
            raise RefusalError(
                f"{table.name} of shape {table.shape} is not a table of embeddings", match.output
            )
    ids, positions = match.ids, match.positions
    if ids.shape is None or len(ids.shape) != 2:
        raise RefusalError(f"ids have shape {ids.shape}, must be (batch, tokens)", match.output)
    if not _counts_from_zero(positions, ids) and positions.shape != ids.shape:
        raise RefusalError(
            f"positions {positions.name} of shape {positions.shape} neither count from 0 nor have shape {ids.shape}",
            match.output,
        )


def _build(match: _Embeddings, builder: Builder) -> onnx_ir.Value:
    # The layer norm's module lies within that of the embeddings
    builder = builder.in_module(builder.module.rpartition(".")[0])
    ids, positions = match.ids, match.positions
    no_token_types = no_mask = None
    shape = shape_of(match.output)
    normalized, _ = builder.add_all(
        "EmbedLayerNormalization",
        [
            _int32(builder, ids),
            no_token_types,
            match.word_table,
            match.position_table,
            no_token_types,
            match.weight,
            match.bias,
            no_mask,
            None if _counts_from_zero(positions, ids) else _int32(builder, positions, "positions"),
        ],
        [
            Output(dtype=dtype_of(match.output), shape=shape),
            # The lengths of the texts, which nothing reads, but which the operator must have
            Output(dtype=_INT32, shape=shape[:1]),
        ],
        attributes={"epsilon": epsilon_of(match.output)},
        domain=MICROSOFT,
    )
    return normalized


def _int32(builder: Builder, value: onnx_ir.Value, label: str = "") -> onnx_ir.Value:
    return builder.add(
        "Cast", [value], attributes={"to": int(_INT32)}, label=label, shape=shape_of(value), dtype=_INT32
    )


def _counts_from_zero(positions: onnx_ir.Value, ids: onnx_ir.Value) -> bool:
    """Whether `positions` are 0, 1, 2, .. along the tokens of `ids`, the same for each text."""
    node = positions.producer()
    if node is not None and node.op_type == "Unsqueeze" and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None or node.op_type != "Range" or ids.shape is None:
        return False
    start, _, step = (array_of(value) for value in node.inputs)
    if start is None or step is None or int(start) != 0 or int(step) != 1:
        return False
    return positions.shape == onnx_ir.Shape([1, ids.shape[1]])
