"""From the exported graph to what a target makes of it: passes, a scheme and lowerings, as the plan has them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import Variant

from pipeline import targets
from pipeline.passes import base, fusions
from pipeline.passes.base import Pass
from pipeline.precision import Calibration, Transformed, schemes
from pipeline.recipe.plan import Plan
from pipeline.targets import Target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


def make_variant(
    exported: Path, plan: Plan, calibration: Calibration, target: Target, precision: str, folder: Path
) -> Variant:
    """Compile the graph in the file `exported` as `plan` says into `folder`; the manifest's entry for it so far.

    Raises what `transform` and the target raise.
    """
    from pipeline.graph import file as graph_file  # onnx, which the command line does without

    loaded = graph_file.load(exported)
    transformed = transform(loaded, plan, calibration)
    files = targets.compile_graph(target, loaded, precision, folder)
    return Variant(
        target=target.name,
        precision=precision,
        files=files,
        passes=transformed.passes,
        needs=plan.needs,
        session=plan.session,
        oracle=files[0] if target.device else "",
        notes=transformed.notes,
        verdicts=transformed.verdicts,
    )


def transform(graph: "Graph", plan: Plan, calibration: Calibration) -> Transformed:
    """Apply `plan` to `graph`, in place; `calibration` is only asked by schemes that look at values.

    Raises UsageError for a pass, scheme or module that is not known, ContractError where a pass found less than it
    must, StageError where the graph or the data cannot be quantized.
    """
    done = base.apply(graph, _find(plan.fusions))
    written = schemes.find(plan.scheme).run(graph, plan, calibration) if plan.scheme else Transformed()
    lowered = base.apply(graph, _find(plan.lowerings))
    return replace(written, passes=done + written.passes + lowered)


def _find(names: Sequence[str]) -> tuple[Pass, ...]:
    return tuple(fusions.find(name) for name in names)
