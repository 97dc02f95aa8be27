"""8-bit matrix products whose ranges are taken from each batch as it comes, in standard ONNX."""

from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.precision import Calibration, Transformed, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "int8_dynamic"
NOTE = (
    "Activations are scaled by the largest value in the whole batch, padding included, so the answer to a text depends "
    "on the texts it is batched with and on how far it is padded. Ask one text at a time where answers must repeat, or "
    "use a variant with static scales."
)


@scheme(NAME)
def int8_dynamic(graph: "Graph", plan: "Plan", calibration: Calibration) -> Transformed:
    """Linear layers and embeddings in 8 bits, activations on scales of each batch; the rest stays in fp32."""
    from pipeline.precision.layers import choose, dynamic, tables
    from pipeline.precision.ranges import grids
    from pipeline.precision.smoothing import smoothing

    chosen = choose.choose(graph, plan.exclude)
    smoothed = smoothing.apply(graph, plan, chosen.linears, calibration)
    grid = grids.INTEGERS[plan.weight_bits]
    for table in chosen.tables:
        tables.quantize(graph, table, grid=grid)
    dynamic.quantize(graph, chosen.linears, grid=grid)
    records = (
        PassRecord(name="int8_embeddings", rewrites=len(chosen.tables)),
        PassRecord(name=NAME, rewrites=len(chosen.linears)),
    )
    return Transformed(passes=smoothed + records, notes=(NOTE,))
