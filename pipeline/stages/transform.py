"""From the exported graph to a target's files: the plan's passes and its scheme, then the target's compiler."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.manifest import Variant

from pipeline import targets
from pipeline.passes import base, registry
from pipeline.passes.base import Pass
from pipeline.precision import Calibration, TransformResult, schemes
from pipeline.recipe.plan import Plan
from pipeline.targets import Target

if TYPE_CHECKING:
    from pipeline.graph.file import Graph


def make_variant(
    exported: Path, plan: Plan, calibration: Calibration, target: Target, precision: str, folder: Path
) -> Variant:
    """Transform the graph in the file `exported` by `plan`, compile it into `folder`, and return its manifest entry.

    Raises the errors of `transform` and of the target.
    """
    from pipeline.graph import file as graph_file  # imports onnx, which most commands do not need

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


def transform(graph: "Graph", plan: Plan, calibration: Calibration) -> TransformResult:
    """Apply the passes and the scheme of `plan` to `graph`, in place.

    `calibration` is read by those schemes only that need the values in the graph. Raises UsageError for a pass, scheme
    or module that is not known, ContractError where a pass made fewer rewrites than it must, and StageError where the
    graph or the data cannot be quantized.
    """
    before = base.apply(graph, _find(plan.passes))
    quantized = schemes.find(plan.scheme).run(graph, plan, calibration) if plan.scheme else TransformResult()
    after = base.apply(graph, _find(plan.final_passes))
    return replace(quantized, passes=before + quantized.passes + after)


def _find(names: Sequence[str]) -> tuple[Pass, ...]:
    return tuple(registry.find(name) for name in names)
