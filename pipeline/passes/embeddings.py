"""Word and position embeddings, their sum and its layer norm as one operator."""

from collections.abc import Sequence
from typing import cast

import onnx_ir
from onnxscript.rewriter.pattern import MatchResult, RewriteRule

from pipeline.graph.builder import array_of
from pipeline.graph.file import Graph
from pipeline.passes import fusion
from pipeline.passes.base import Applied
from pipeline.passes.matching.rewriting import (
    MICROSOFT,
    Operators,
    epsilon_of,
    module_of,
    named,
    refuse,
    rewrite,
)


@fusion("embeddings", emits=frozenset({MICROSOFT}), per_graph=1)
def embeddings(graph: Graph) -> Applied:
    """The embeddings as com.microsoft EmbedLayerNormalization, ids cast to the int32 that it reads.

    It counts positions from 0 itself, so positions that are a Range go; any others are handed over. A word's id that
    the table lacks is an error in it as it is in Gather, but a negative one, which Gather counts from the end, is too.
    """

    def pattern(
        op: Operators,
        words: onnx_ir.Value,
        ids: onnx_ir.Value,
        places: onnx_ir.Value,
        positions: onnx_ir.Value,
        weight: onnx_ir.Value,
        bias: onnx_ir.Value,
    ) -> onnx_ir.Value:
        word = op.Gather(words, ids, axis=0)
        place = op.Gather(places, positions, axis=0)
        return op.LayerNormalization(op.Add(word, place), weight, bias, axis=-1, _outputs=["normalized"])

    def check(
        op: Operators,
        words: onnx_ir.Value,
        ids: onnx_ir.Value,
        places: onnx_ir.Value,
        positions: onnx_ir.Value,
        weight: onnx_ir.Value,
        bias: onnx_ir.Value,
        normalized: onnx_ir.Value,
    ) -> MatchResult:
        for table in (words, places):
            array = array_of(table)
            if array is None or array.ndim != 2 or array.shape[1:] != tuple(weight.shape or ()):
                return refuse(f"{table.name} of shape {table.shape} is no table of embeddings", normalized)
        if ids.shape is None or len(ids.shape) != 2:
            return refuse(f"ids have shape {ids.shape}, must be (batch, tokens)", normalized)
        if not _counts_from_zero(positions, ids) and positions.shape != ids.shape:
            return refuse(
                f"positions {positions.name} of shape {positions.shape} neither count from 0 nor are {ids.shape}",
                normalized,
            )
        return MatchResult()

    def replacement(
        op: Operators,
        words: onnx_ir.Value,
        ids: onnx_ir.Value,
        places: onnx_ir.Value,
        positions: onnx_ir.Value,
        weight: onnx_ir.Value,
        bias: onnx_ir.Value,
        normalized: onnx_ir.Value,
    ) -> onnx_ir.Value:
        assert normalized.shape is not None
        module = module_of(normalized).rpartition(".")[0]

        def int32(value: onnx_ir.Value, name: str) -> onnx_ir.Value:
            assert value.shape is not None
            cast = op.Cast(value, to=onnx_ir.DataType.INT32)
            return named(cast, f"{module}/{name}", shape=value.shape, dtype=onnx_ir.DataType.INT32)

        no_token_types = None
        fused, lengths = cast(
            "Sequence[onnx_ir.Value]",
            op.EmbedLayerNormalization(
                int32(ids, "Cast"),
                no_token_types,
                words,
                places,
                no_token_types,
                weight,
                bias,
                None,
                None if _counts_from_zero(positions, ids) else int32(positions, "Cast_positions"),
                epsilon=epsilon_of(normalized),
                _domain=MICROSOFT,
                _outputs=2,
            ),
        )
        name = f"{module}/EmbedLayerNormalization"
        # Nothing reads the lengths, but the operator must have them
        named(lengths, name, shape=normalized.shape[:1], dtype=onnx_ir.DataType.INT32)
        return named(fused, name, shape=normalized.shape)

    return rewrite(graph, RewriteRule(pattern, replacement, check))


def _counts_from_zero(positions: onnx_ir.Value, ids: onnx_ir.Value) -> bool:
    """Whether `positions` is 0, 1, 2, .. along the tokens of `ids`, the same for each text."""
    node = positions.producer()
    if node is not None and node.op_type == "Unsqueeze" and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None or node.op_type != "Range" or ids.shape is None:
        return False
    start, _, step = (array_of(value) for value in node.inputs)
    if start is None or step is None or int(start) != 0 or int(step) != 1:
        return False
    return positions.shape == onnx_ir.Shape([1, ids.shape[1]])
