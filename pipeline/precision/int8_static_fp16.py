"""8-bit integer matrix products on calibrated scales, and fp16 around them."""

from typing import TYPE_CHECKING

from pipeline.precision import Calibration, TransformResult, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "int8_static_fp16"


@scheme(NAME, reads_evaluation=True, opset=19)
def int8_static_fp16(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """As int8_static, with the rest in fp16 as in the scheme fp16; modules that `exclude` names are in fp16.

    The check that nothing leaves fp16's range runs on the graph with the 8-bit products.
    """
    from pipeline.precision import fp16, int8_static

    products = int8_static.write(graph, plan, calibration, half_scales=True)
    return products.then(fp16.write_around_products(graph, plan, calibration))
