"""From the exported graph to the one that a target compiles: fusions, a scheme, lowerings, as the plan has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distilforge.manifest import PassRecord, Verdict

from pipeline import passes
from pipeline.fuse import fusions
from pipeline.passes import Pass
from pipeline.plan import Plan
from pipeline.quantize import Calibration, schemes

if TYPE_CHECKING:
    from pipeline.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformed:
    """What was applied to a graph, what was proved on the way, and what a reader must know before deploying."""

    passes: tuple[PassRecord, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


def transform(graph: "Graph", plan: Plan, calibration: Calibration) -> Transformed:
    """Apply `plan` to `graph`, in place; `calibration` is only asked by schemes that look at values.

    Raises UsageError for a pass, scheme or module that is not known, ContractError where a pass found less than it
    must, StageError where the graph or the data cannot be quantized.
    """
    fused = passes.apply(graph, _find(plan.fusions))
    if not plan.scheme:
        return Transformed(passes=fused + passes.apply(graph, _find(plan.lowerings)))
    quantized = schemes.find(plan.scheme).run(graph, plan, calibration)
    lowered = passes.apply(graph, _find(plan.lowerings))
    return Transformed(
        passes=fused + quantized.passes + lowered, verdicts=quantized.verdicts, notes=quantized.notes
    )


def _find(names: Sequence[str]) -> tuple[Pass, ...]:
    return tuple(fusions.find(name) for name in names)
