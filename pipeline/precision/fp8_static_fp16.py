"""8-bit floating-point (e4m3) matrix products on calibrated scales, and fp16 around them."""

from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.precision import INTEGER_OPTIONS, Calibration, TransformResult, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "fp8_static_fp16"


@scheme(NAME, reads_evaluation=True, refuses=INTEGER_OPTIONS, opset=19)
def fp8_static_fp16(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """Linear layers in fp8 (e4m3), embeddings in 8-bit integers, the rest and what `exclude` names in fp16.

    An activation has one scale, a weight one for each output channel. A table that a decoder reads too is e4m3.
    """
    from pipeline.precision import fp16
    from pipeline.precision.layers import choose, smoothing, static
    from pipeline.precision.numbers import grids
    from pipeline.precision.ranges import methods, observe

    selection = choose.choose(graph, plan.exclude)
    smoothed = smoothing.apply(graph, plan, selection.linears, calibration)
    ranges = observe.ranges(graph, selection.activations, calibration, plan.calibration, methods.e4m3_range)
    static.quantize(graph, selection, ranges, grid=grids.E4M3, half_scales=True)
    records = (
        PassRecord(name="int8_embeddings", rewrites=len(selection.tables)),
        PassRecord(name="fp8_static", rewrites=len(selection.linears)),
    )
    products = TransformResult(passes=smoothed + records)
    return products.then(fp16.write_around_products(graph, plan, calibration))
