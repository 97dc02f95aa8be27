"""Half precision written into the graph by casts, with a proof on real texts that nothing leaves its range."""

from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord, Verdict

from pipeline.precision import Calibration, Transformed, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "fp16"
CHECK = "largest value cast to fp16 on the calibration data"


@scheme(NAME)
def fp16(graph: "Graph", plan: "Plan", calibration: Calibration) -> Transformed:
    """Weights and activations in fp16; layer norm, softmax, ids and outputs keep their types."""
    from pipeline.precision.floats import half
    from pipeline.precision.ranges import magnitudes

    kept = half.kept_in_float32(graph, plan.exclude)
    bound_for_fp16 = half.activations(graph, kept)
    found = magnitudes.largest(graph, bound_for_fp16, calibration)
    weights = half.convert(graph, kept)
    verdict = Verdict(
        check=CHECK,
        observed=found.value,
        comparison="at most",
        limit=half.LARGEST,
        unit="",
        reason=f"beyond it fp16 is infinite; the largest is in {found.name}, of {len(bound_for_fp16)} values looked at",
    )
    notes = (weights.note,) if weights.underflowed else ()
    return Transformed(
        passes=(PassRecord(name=NAME, rewrites=weights.nodes),), verdicts=(verdict,), notes=notes
    )
