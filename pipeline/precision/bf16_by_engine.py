"""bfloat16 that the engine rounds to: the graph stays in fp32, and the variant's settings name the precision."""

from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.precision import INTEGER_OPTIONS, PRODUCT_OPTIONS, Calibration, TransformResult, scheme

if TYPE_CHECKING:
    from pipeline.graph.file import Graph
    from pipeline.recipe.plan import Plan

NAME = "bf16_by_engine"
SETTING, ROUNDED = "INFERENCE_PRECISION_HINT", "bf16"


@scheme(NAME, by_engine=True, refuses=(*INTEGER_OPTIONS, *PRODUCT_OPTIONS))
def bf16_by_engine(graph: "Graph", plan: "Plan", calibration: Calibration) -> TransformResult:
    """Matrix products in bfloat16, to which OpenVINO rounds when it loads the graph; the file stays in fp32.

    Raises UsageError for a plan whose settings do not ask for it, since that graph would stay in fp32.
    """
    if plan.session.get(SETTING) != ROUNDED:
        raise UsageError(
            f"the plan has {SETTING} {plan.session.get(SETTING)!r}, so that the engine would not compute in bf16",
            hint=f'add session = {{ {SETTING} = "{ROUNDED}" }} to the plan',
        )
    return TransformResult()
