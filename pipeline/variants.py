"""One variant of a release: a plan applied to the exported graph, and what the target makes of it."""

from pathlib import Path

from distilforge.manifest import Variant

from pipeline import compile as targets
from pipeline import graph
from pipeline.compile import Target
from pipeline.plan import Plan
from pipeline.quantize import Calibration
from pipeline.transform import transform


def make(
    exported: Path, plan: Plan, calibration: Calibration, target: Target, precision: str, folder: Path
) -> Variant:
    """Compile the graph in the file `exported` as `plan` says into `folder`; the manifest's entry for it so far.

    Raises what `pipeline.transform.transform` and the target raise.
    """
    loaded = graph.load(exported)
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
