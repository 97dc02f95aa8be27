"""From the exported graph to the one that a target compiles: fusions, a scheme, lowerings, as the plan has them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline import passes
from pipeline.fuse import fusions
from pipeline.passes import Pass
from pipeline.plan import Plan
from pipeline.quantize import Calibration, Transformed, schemes

if TYPE_CHECKING:
    from pipeline.graph import Graph


def transform(graph: "Graph", plan: Plan, calibration: Calibration) -> Transformed:
    """Apply `plan` to `graph`, in place; `calibration` is only asked by schemes that look at values.

    Raises UsageError for a pass, scheme or module that is not known, ContractError where a pass found less than it
    must, StageError where the graph or the data cannot be quantized.
    """
    done = passes.apply(graph, _find(plan.fusions))
    written = schemes.find(plan.scheme).run(graph, plan, calibration) if plan.scheme else Transformed()
    lowered = passes.apply(graph, _find(plan.lowerings))
    return replace(written, passes=done + written.passes + lowered)


def _find(names: Sequence[str]) -> tuple[Pass, ...]:
    return tuple(fusions.find(name) for name in names)
