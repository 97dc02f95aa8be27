"""The sum of scores and mask that attention's softmax reads."""

from dataclasses import dataclass

import onnx_ir

from pipeline.graph.values import sole_reader
from pipeline.passes.refusal import RefusalError


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedScores:
    """The sum that a softmax reads."""

    add: onnx_ir.Node
    """The Add of scores and mask."""

    scores: onnx_ir.Value
    """(batch, heads, queries, keys)."""

    mask: onnx_ir.Value
    """(batch, 1, queries or 1, keys)."""


def masked_scores(softmax: onnx_ir.Node) -> MaskedScores:
    """The sum that `softmax` reads; RefusalError where it is not one of scores and a computed mask."""
    read = softmax.inputs[0]
    add = None if read is None else read.producer()
    if read is None or add is None or add.op_type != "Add" or sole_reader(read) is None:
        raise RefusalError("it does not read the sum of scores and mask, or is not the sum's only reader")
    if softmax.outputs[0].is_graph_output():
        raise RefusalError("its output is an output of the graph")
    # The exporter writes the mask as the second term
    scores, mask = add.inputs
    if scores is None or mask is None or scores.shape is None or mask.shape is None:
        raise RefusalError("the shapes of scores and mask are not known")
    if len(scores.shape) != 4 or len(mask.shape) != 4 or mask.shape[1] != 1:
        raise RefusalError(f"{mask.name} has shape {mask.shape}, must be (batch, 1, queries, keys)")
    if mask.producer() is None:
        raise RefusalError(f"{mask.name} is not computed, so that it is the same for every batch")
    return MaskedScores(add=add, scores=scores, mask=mask)
