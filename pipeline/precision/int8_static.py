"""8-bit matrix products with ranges that calibration fixed, written as QuantizeLinear and DequantizeLinear."""

from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.precision import Calibration, Transformed, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "int8_static"


@scheme(NAME)
def int8_static(graph: "Graph", plan: "Plan", calibration: Calibration) -> Transformed:
    """Linear layers and embeddings in 8 bits, activations on scales fixed by calibration; the rest stays in fp32.

    With `quantize_attention` the products of attention are in 8 bits too, but for the attentions that `exclude` names.
    """
    return write(graph, plan, calibration)


def write(graph: "Graph", plan: "Plan", calibration: Calibration, *, half: bool = False) -> Transformed:
    """As above; with `half` on scales that fp16 holds, so that the rest may become fp16."""
    from pipeline.passes.base import layers
    from pipeline.precision.attention import attention
    from pipeline.precision.layers import choose, static, tables
    from pipeline.precision.ranges import grids, observe
    from pipeline.precision.smoothing import smoothing

    found = attention.find(graph, layers(graph)) if plan.quantize_attention else ()
    chosen = choose.choose(graph, plan.exclude, [each.module for each in found])
    products = tuple(each for each in found if each.module not in chosen.left_out)
    smoothed = smoothing.apply(graph, plan, chosen.linears, calibration)
    activations = tuple(
        dict.fromkeys(
            [
                *(each.activation for each in chosen.linears),
                *(value for each in products for value in each.activations),
            ]
        )
    )
    seen = observe.statistics(graph, activations, calibration, histogram=plan.calibration != "minmax")
    ranges = {
        name: statistics.range(plan.calibration, signed=plan.signed_activations)
        for name, statistics in seen.items()
    }
    grid = grids.INTEGERS[plan.weight_bits]
    for table in chosen.tables:
        tables.quantize(graph, table, grid=grid, half=half)
    static.quantize(graph, chosen.linears, ranges, grid=grid, half=half)
    attention.quantize(graph, products, ranges, bits=plan.weight_bits)
    records = (
        PassRecord(name="int8_embeddings", rewrites=len(chosen.tables)),
        *([PassRecord(name="int8_attention", rewrites=len(products))] if products else []),
        PassRecord(name=NAME, rewrites=len(chosen.linears)),
    )
    return Transformed(passes=smoothed + records)
