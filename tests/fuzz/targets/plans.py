"""A file of plans, for every head, and the graph that each plan makes."""

from collections.abc import Sequence
from pathlib import Path

from distilforge.heads import heads

from pipeline.errors import PipelineError
from pipeline.passes import registry
from pipeline.precision import schemes
from pipeline.recipe import plan as plans
from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use


def _samples(folder: Path) -> Sequence[Input]:
    return (Input(name="plans.toml", content=(plans.PRESETS / "onnxruntime-cpu.toml").read_bytes()),)


def _prepare(folder: Path, work: Path) -> Reader:
    def uses(value: Input) -> Sequence[Use]:
        path = work / value.name
        path.write_bytes(value.content)
        return (
            lambda: _use(path),
            lambda: plans.preset("onnxruntime-cpu", "int8", "sequence_classification", path),
        )

    return uses


def _use(path: Path) -> None:
    # A file may have any number of plans
    for precision, table in list(plans.plan_tables(path).items())[:8]:
        for head in heads.names():
            plan = plans.from_table(table, head, precision)
            for name in (*plan.passes, *plan.final_passes):
                registry.find(name)
            if plan.scheme:
                schemes.find(plan.scheme)
            plans.to_toml(plan, precision)


TARGET = Target(
    errors=(PipelineError,),
    samples=_samples,
    mutate=lambda sample, choices: document.changed_toml(sample.content, choices),
    prepare=_prepare,
)
