"""8-bit matrix products on calibrated scales, and half precision for what is around them."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.precision import Calibration, Transformed, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "int8_static_fp16"


@scheme(NAME)
def int8_static_fp16(graph: "Graph", plan: "Plan", calibration: Calibration) -> Transformed:
    """As int8_static, and the rest in fp16 as the scheme fp16 has it; what `exclude` names is in fp16.

    The proof that nothing leaves fp16's range is made on the graph that has 8-bit products already.
    """
    from pipeline.precision import fp16, int8_static

    integers = int8_static.write(graph, plan, calibration, half=True)
    halves = fp16.fp16(graph, replace(plan, exclude=()), calibration)
    return Transformed(
        passes=integers.passes + halves.passes,
        verdicts=integers.verdicts + halves.verdicts,
        notes=integers.notes + halves.notes,
    )
