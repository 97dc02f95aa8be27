"""8-bit integer matrix products whose activation scales are computed for each batch, in standard ONNX."""

from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord

from pipeline.precision import Calibration, TransformResult, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "int8_dynamic"
NOTE = (
    "Activations are scaled by the largest value in the whole batch, padding included, so the answer to a text depends "
    "on the texts it is batched with and on how far it is padded. Ask one text at a time where answers must repeat, or "
    "use a variant with static scales."
)


@scheme(NAME, refuses=("calibration", "quantize_attention", "signed_activations"), opset=13)
def int8_dynamic(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """Linear layers and embeddings in 8 bits, activations on scales of each batch; the rest stays in fp32."""
    from pipeline.precision.layers import choose, dynamic, smoothing
    from pipeline.precision.numbers import grids

    selection = choose.choose(graph, plan.exclude)
    smoothed = smoothing.apply(graph, plan, selection.linears, calibration)
    dynamic.quantize(graph, selection, grid=grids.integers(plan.weight_bits, exact_pairs=plan.exact_pairs))
    records = (
        PassRecord(name="int8_embeddings", rewrites=len(selection.tables)),
        PassRecord(name=NAME, rewrites=len(selection.linears)),
    )
    return TransformResult(passes=smoothed + records, notes=(NOTE,))
