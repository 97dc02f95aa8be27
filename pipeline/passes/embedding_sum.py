"""The sum of word and position embeddings and its layer norm as one operator."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.builder import Builder
from pipeline.graph.file import Graph
from pipeline.graph.values import array_of, is_operator, shape_of
from pipeline.passes import graph_pass
from pipeline.passes.base import PassResult
from pipeline.passes.matching.rewriting import MICROSOFT, Operators, epsilon_of, rewrite
from pipeline.passes.refusal import RefusalError

_BATCH_TOKENS_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _EmbeddingSum:
    """One match of the pattern."""

    words: onnx_ir.Value
    """The words' embeddings, (batch, tokens, channels)."""

    positions: onnx_ir.Value
    """The positions' embeddings, (1, tokens, channels)."""

    weight: onnx_ir.Value
    """The layer norm's weight, (channels)."""

    bias: onnx_ir.Value
    """The layer norm's bias, (channels)."""

    output: onnx_ir.Value
    """The normalized sum, (batch, tokens, channels)."""


@graph_pass("embedding_sum", emits=frozenset({MICROSOFT}), per_graph=1)
def embedding_sum(graph: Graph) -> PassResult:
    """The embeddings' sum and layer norm as com.microsoft SkipLayerNormalization, with the same epsilon.

    The operator adds the positions of one text to each text. EmbedLayerNormalization would look the embeddings up as
    well, but ONNX Runtime's kernel of it in fp16 sums in fp16.
    """
    return rewrite(graph, _pattern, _EmbeddingSum, check=_check, build=_build)


def _pattern(
    op: Operators, words: onnx_ir.Value, positions: onnx_ir.Value, weight: onnx_ir.Value, bias: onnx_ir.Value
) -> onnx_ir.Value:
    return op.LayerNormalization(op.Add(words, positions), weight, bias, axis=-1, _outputs=["output"])


def _check(match: _EmbeddingSum) -> None:
    words, positions, output = match.words, match.positions, match.output
    lookup = words.producer()
    # With a batch of one text, residual sums have the same shapes
    if lookup is None or not is_operator(lookup, "Gather") or array_of(lookup.inputs[0]) is None:
        raise RefusalError(f"{words.name} is not looked up in a table", output)
    if words.shape is None or len(words.shape) != _BATCH_TOKENS_CHANNELS:
        raise RefusalError(f"words have shape {words.shape}, must be (batch, tokens, channels)", output)
    if positions.shape != onnx_ir.Shape([1, *words.shape[1:]]):
        raise RefusalError(
            f"positions have shape {positions.shape}, must be that of one text, {(1, *words.shape[1:])}",
            output,
        )
    for vector in (match.weight, match.bias):
        if vector.shape is None or vector.shape != words.shape[-1:]:
            raise RefusalError(f"{vector.name} has shape {vector.shape}, must be {words.shape[-1:]}", output)


def _build(match: _EmbeddingSum, builder: Builder) -> onnx_ir.Value:
    return builder.add(
        "SkipLayerNormalization",
        [match.words, match.positions, match.weight, match.bias],
        attributes={"epsilon": epsilon_of(match.output)},
        shape=shape_of(match.output),
        domain=MICROSOFT,
    )
