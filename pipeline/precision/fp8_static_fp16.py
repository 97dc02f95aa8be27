"""8-bit floating matrix products on calibrated scales, and half precision for what is around them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.errors import UsageError
from pipeline.precision import Calibration, Transformed, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "fp8_static_fp16"


@scheme(NAME)
def fp8_static_fp16(graph: "Graph", plan: "Plan", calibration: Calibration) -> Transformed:
    """Linear layers in fp8 (e4m3), embeddings in 8-bit whole numbers, the rest in fp16; so is what `exclude` names.

    Activations have a scale a tensor, weights one an output channel. A table that a decoder reads too is e4m3.
    """
    from pipeline.precision import fp16
    from pipeline.precision.floats import floating
    from pipeline.precision.layers import choose, static, tables
    from pipeline.precision.ranges import grids, observe
    from pipeline.precision.smoothing import smoothing

    _refuse(plan)
    chosen = choose.choose(graph, plan.exclude)
    smoothed = smoothing.apply(graph, plan, chosen.linears, calibration)
    activations = tuple(dict.fromkeys(each.activation for each in chosen.linears))
    seen = observe.statistics(graph, activations, calibration, histogram=plan.calibration != "minmax")
    ranges = {
        name: floating.floating_range(statistics, plan.calibration) for name, statistics in seen.items()
    }
    for table in chosen.tables:
        tables.quantize(graph, table, grid=grids.E4M3, half=True)
    static.quantize(graph, chosen.linears, ranges, grid=grids.E4M3, half=True)
    halves = fp16.fp16(graph, replace(plan, exclude=()), calibration)
    records = (
        PassRecord(name="int8_embeddings", rewrites=len(chosen.tables)),
        PassRecord(name="fp8_static", rewrites=len(chosen.linears)),
    )
    return replace(halves, passes=smoothed + records + halves.passes)


def _refuse(plan: "Plan") -> None:
    """UsageError for what a plan may ask of whole numbers alone."""
    for name, given in (
        ("weight_bits", plan.weight_bits != type(plan)().weight_bits),
        ("quantize_attention", plan.quantize_attention),
        ("signed_activations", plan.signed_activations),
    ):
        if given:
            raise UsageError(
                f"the scheme {NAME} has no {name}, found {getattr(plan, name)!r}",
                hint=f"leave {name} out: it is for whole numbers",
            )
