"""Half precision written into the graph as casts, with a check on real texts that no value leaves its range."""

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord, Verdict

from pipeline.precision import (
    INTEGER_OPTIONS,
    PRODUCT_OPTIONS,
    Calibration,
    TransformResult,
    evaluation_of,
    scheme,
)

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "fp16"
CHECK = "largest value cast to fp16 on the calibration data"
CHECK_WITH_EVALUATION = "largest value cast to fp16 on the calibration and evaluation data"


@scheme(NAME, reads_evaluation=True, refuses=(*INTEGER_OPTIONS, *PRODUCT_OPTIONS))
def fp16(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """Weights and activations in fp16; layer norm, softmax, ids and outputs keep their types.

    That no value leaves fp16's range is checked on the evaluation data too: ONNX Runtime's CPU provider computes fp16
    in float32, so the answers that are judged there do not show an infinity.
    """
    from pipeline.precision.half_precision import conversion, magnitudes

    conversion.prepare(graph)
    float32_nodes = conversion.float32_nodes(graph, plan.exclude, plan.session)
    activations = conversion.half_activations(graph, float32_nodes)
    evaluation = evaluation_of(calibration)
    texts = [calibration] if evaluation is None else [calibration, evaluation]
    largest = magnitudes.largest(
        graph, activations, lambda: itertools.chain.from_iterable(one() for one in texts)
    )
    counts = conversion.convert(graph, float32_nodes)
    verdict = Verdict(
        check=CHECK if evaluation is None else CHECK_WITH_EVALUATION,
        observed=largest.value,
        comparison="at most",
        limit=conversion.LARGEST,
        unit="",
        reason=f"a larger value is infinite in fp16; {largest.name} holds the largest of {len(activations)} values",
    )
    return TransformResult(
        passes=(PassRecord(name=NAME, rewrites=counts.nodes),),
        verdicts=(verdict,),
        notes=(counts.note,) if counts.underflowed else (),
    )


def write_around_products(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """fp16 for the rest of a graph with 8-bit products, and for the layers that `plan` excludes from those."""
    return fp16(graph, replace(plan, exclude=()), calibration)
