"""`distilforge tune`: the table of contents of a search."""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.timing.ratios import Estimate
from filelock import FileLock, Timeout

from pipeline import targets
from pipeline.errors import StageError, UsageError
from pipeline.graph.interface import Interface
from pipeline.recipe import paths
from pipeline.recipe.plan import Plan, preset
from pipeline.recipe.recipe import Recipe, VariantName, limits
from pipeline.stages import preconditions
from pipeline.stages.export import INTERFACE, export
from pipeline.stages.load import Source, load
from pipeline.store import digests, versions
from pipeline.store.usage import in_use
from pipeline.store.work import WORK, ProgressListener, WorkFolder
from pipeline.targets import Target
from pipeline.tuning import plan_file
from pipeline.tuning.differences import differences
from pipeline.tuning.evidence import Evidence
from pipeline.tuning.proposals import Proposals, check_installed
from pipeline.tuning.space import canonical, plan_key, space

if TYPE_CHECKING:
    from pipeline.tuning.accuracy import AccuracyGate
    from pipeline.tuning.builder import PlanBuilder
    from pipeline.tuning.search import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """The result of a search."""

    path: str
    """The file of plans."""
    evidence: str
    """The file of trials, with every timed run."""
    variant: str
    """The variant that the plan is for."""
    plan: Mapping[str, object]
    """The best plan."""
    differences: str
    """How the best plan differs from the default plan, in words."""
    ratio: float | None
    """How many times as fast as the default plan it is; 1 if it is that plan, None if that is not settled."""
    interval: tuple[float, float] | None
    """The confidence interval of `ratio`; each end is one-sided."""
    trials: int
    """The number of trials, including those of earlier runs."""
    not_settled: int
    """The number of trials during which the machine was not steady enough; another run may try those plans again."""
    judged: str
    """The data on which accuracy was judged."""

    @property
    def usage(self) -> str:
        """How a build uses the plan."""
        return f'use it: plans = "{self.path}" in a recipe, or distilforge build ... --plans {self.path}'


def tune(
    recipe: Recipe,
    variant: VariantName,
    *,
    minutes: float,
    output: Path,
    artifacts: Path,
    seed: int,
    listener: ProgressListener,
) -> TuneResult:
    """Search for `minutes` for the plan of `variant` that is fastest here and meets the gates, and save the best.

    The best plan so far is always in `output`, and the evidence is beside it. A search that is started again with the
    same data on the same machine goes on from there. Raises UsageError, also where `output` cannot be written,
    MissingError without Optuna, StageError if no plan meets the gates, and the errors of a build for checkpoints and
    data.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        raise UsageError(f"minutes must be above 0, found {minutes:g}", hint="try --minutes 20")
    check_installed()
    target = targets.find(variant.target, variant.precision)
    paths.check_writable(output)
    source = load(recipe)
    searched = replace(recipe, variants=(variant,))
    preconditions.check(searched, source)
    evidence_path = output.with_name(f"{output.stem}.{variant.target}.{variant.precision}.trials.jsonl")
    with (
        in_use(artifacts / WORK),
        _locked(evidence_path),
        tempfile.TemporaryDirectory(prefix="distilforge-tune-") as folder,
    ):
        from pipeline.tuning.builder import PlanBuilder
        from validation.answers.eager import threads
        from validation.latency.conditions import physical_cores

        exported = export(WorkFolder(artifacts / WORK, listener), recipe, source)
        head = Interface.read(exported.folder / INTERFACE).head
        preconditions.check_with_head(searched, source, head)
        deadline = time.monotonic() + 60 * minutes
        count = recipe.gates.threads or physical_cores()
        builder = PlanBuilder(
            recipe, source, exported, target, variant.precision, threads=count, folder=Path(folder)
        )
        default = canonical(recipe.plan(variant, head))
        if default.scheme:
            _ = builder.calibration  # unusable data is an error now rather than in every trial
        evidence = Evidence(
            evidence_path, _conditions(recipe, variant, source, builder, default, count), listener
        )
        with threads(count):
            return _search(
                recipe, variant, target, builder, default, evidence, output, seed, deadline, listener
            )


@contextmanager
def _locked(evidence: Path) -> Iterator[None]:
    """Raise UsageError while another search writes the file `evidence`."""
    lock = FileLock(f"{evidence}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as cause:
        raise UsageError(f"another search is writing {evidence}", hint="choose another --output") from cause
    try:
        yield
    finally:
        lock.release()


def _conditions(
    recipe: Recipe, variant: VariantName, source: Source, builder: "PlanBuilder", default: Plan, threads: int
) -> Mapping[str, object]:
    """Everything that a trial's result depends on except its plan."""
    from validation.latency.conditions import conditions

    return {
        "variant": str(variant),
        "head": builder.interface.head,
        "model": source.model,
        "tokenizer": source.tokenizer,
        "default": default.to_json(),
        "exclude": recipe.exclude,
        "evaluation": digests.of_file(recipe.evaluation) if recipe.evaluation else None,
        "calibration": digests.of_file(recipe.calibration) if recipe.calibration else None,
        "gates": limits(recipe.gates),
        "machine": conditions(threads),
        "tools": versions.of("onnx", "onnx-ir", "onnxscript"),
        "source": versions.source("pipeline.passes", "pipeline.precision", "pipeline.targets", "distilforge"),
    }


def _search(
    recipe: Recipe,
    variant: VariantName,
    target: Target,
    builder: "PlanBuilder",
    default: Plan,
    evidence: Evidence,
    output: Path,
    seed: int,
    deadline: float,
    listener: ProgressListener,
) -> TuneResult:
    from pipeline.tuning.accuracy import AccuracyGate
    from pipeline.tuning.commentary import comments, gain, progress_message
    from pipeline.tuning.search import Search
    from pipeline.tuning.tester import MachineTester

    head, manifest = builder.interface.head, builder.reader.manifest
    others = plan_file.other_plans(
        output,
        recipe.plans,
        variant.target,
        [precision for precision in target.precisions if precision != variant.precision],
        head,
    )
    gate = AccuracyGate(builder.source.checkpoint.root, builder.reader, recipe.evaluation, recipe.gates)
    for note in gate.notes:
        listener.note(note)
    base = replace(default, exclude=recipe.exclude)
    proposals = Proposals(
        space(target, variant.precision, base, builder.modules if default.scheme else ()), evidence, seed
    )
    search = Search(
        tester=MachineTester(builder, gate, recipe.gates, listener.note),
        evidence=evidence,
        confidence=recipe.gates.confidence,
        deadline=deadline,
        save=lambda search, trial: plan_file.write(
            output,
            variant.precision,
            trial.plan,
            others,
            comments(
                search,
                trial,
                default=default,
                manifest=manifest,
                evidence=evidence,
                judged=gate.description,
            ),
        ),
        report=lambda search, trial: listener.note(progress_message(search, trial, default)),
    )
    if evidence.trials:
        listener.note(f"going on after {len(evidence.trials)} trials in {evidence.path}")
    try:
        search.run(proposals, _starting_plans(recipe, variant, head, default))
    except KeyboardInterrupt:
        accurate = search.best is not None and search.best.accurate
        state = f"the best plan so far is in {output}" if accurate else "no plan has met the gates"
        listener.note(f"stopped after {len(evidence.trials)} trials; {state}")
        raise
    result = _result(search, variant, default, evidence, output, gate)
    listener.note(f"{result.trials} trials; the best, [{result.differences}], is {gain(search)}")
    if result.not_settled:
        listener.note(
            f"trials that are not settled, because the machine was not steady: {result.not_settled} of "
            f"{result.trials}; tune again while nothing else runs"
        )
    return result


def _result(
    search: "Search",
    variant: VariantName,
    default: Plan,
    evidence: Evidence,
    output: Path,
    gate: "AccuracyGate",
) -> TuneResult:
    """The result of a search that has ended; StageError if no plan met the gates."""
    best = search.best
    if best is None or not best.accurate:
        raise StageError(
            "tune",
            f"none of {len(evidence.trials)} plans for {variant} met the gates; {evidence.path} says why",
            hint="`distilforge bisect` names the modules that cost accuracy; more --minutes try more plans",
        )
    ratio = Estimate(value=1.0, interval=(1.0, 1.0)) if best is search.first else search.over_first
    return TuneResult(
        path=str(output),
        evidence=str(evidence.path),
        variant=str(variant),
        plan=best.plan.to_json(),
        differences=differences(best.plan, default),
        ratio=None if ratio is None else ratio.value,
        interval=None if ratio is None else ratio.interval,
        trials=len(evidence.trials),
        not_settled=sum(trial.outcome == "not settled" for trial in evidence.trials),
        judged=gate.description,
    )


def _starting_plans(recipe: Recipe, variant: VariantName, head: str, default: Plan) -> tuple[Plan, ...]:
    """The default plan, then the committed plans of the target: for this head, and for heads in general."""
    committed = (
        preset(variant.target, variant.precision, name).excluding(recipe.exclude) for name in (head, "")
    )
    by_key = {plan_key(plan): canonical(plan) for plan in (default, *committed)}
    return tuple(by_key.values())
