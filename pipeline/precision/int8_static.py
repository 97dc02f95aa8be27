"""8-bit integer matrix products on calibrated scales, written as QuantizeLinear and DequantizeLinear."""

from functools import partial
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.precision import Calibration, TransformResult, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "int8_static"


@scheme(NAME, opset=13)
def int8_static(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """Linear layers and embeddings in 8 bits, activations on scales fixed by calibration; the rest stays in fp32.

    With `quantize_attention`, the two products of every attention that `exclude` does not name are in 8 bits too.
    """
    return write(graph, plan, calibration)


def write(
    graph: "Graph", plan: "Plan", calibration: Calibration, *, half_scales: bool = False
) -> TransformResult:
    """As `int8_static`; with `half_scales`, fp16 holds every scale exactly, so that the rest may become fp16."""
    from pipeline.passes.base import layers
    from pipeline.precision.attention import products, rounding
    from pipeline.precision.layers import choose, smoothing, static
    from pipeline.precision.numbers import grids
    from pipeline.precision.ranges import methods, observe

    attentions = products.find(graph, layers(graph)) if plan.quantize_attention else ()
    selection = choose.choose(graph, plan.exclude, [attention.module for attention in attentions])
    attentions = tuple(attention for attention in attentions if attention.module not in selection.excluded)
    smoothed = smoothing.apply(graph, plan, selection.linears, calibration)
    ranges = observe.ranges(
        graph,
        [*selection.activations, *(value for attention in attentions for value in attention.activations)],
        calibration,
        plan.calibration,
        partial(methods.integer_range, signed=plan.signed_activations),
    )
    grid = grids.integers(plan.weight_bits, exact_pairs=plan.exact_pairs)
    static.quantize(graph, selection, ranges, grid=grid, half_scales=half_scales)
    # A row of a softmax sums to 1, so two of its numbers sum to 256 at most, and values of 8 bits fit. Keys do not.
    key_bits = 7 if plan.exact_pairs else plan.weight_bits
    rounding.quantize(graph, attentions, ranges, key_bits=key_bits, value_bits=plan.weight_bits)
    records = (
        PassRecord(name="int8_embeddings", rewrites=len(selection.tables)),
        *([PassRecord(name="int8_attention", rewrites=len(attentions))] if attentions else []),
        PassRecord(name=NAME, rewrites=len(selection.linears)),
    )
    return TransformResult(passes=smoothed + records)
