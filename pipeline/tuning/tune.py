"""`distilforge tune`: the table of contents of a search."""

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from distilforge.timing.ratios import Estimate
from filelock import FileLock, Timeout

from pipeline import targets
from pipeline.errors import StageError, UsageError
from pipeline.recipe.plan import Plan, preset
from pipeline.recipe.recipe import Recipe, VariantName, limits
from pipeline.stages.export import export
from pipeline.stages.load import Source, load
from pipeline.store import digests, versions
from pipeline.store.work import Stage, Talk, WorkFolder
from pipeline.targets import Target
from pipeline.tuning import saved
from pipeline.tuning.evidence import Evidence
from pipeline.tuning.proposals import Proposals, check_installed
from pipeline.tuning.space import canonical, key, space

WORK = ".work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a search found."""

    path: str
    """The file of plans."""
    evidence: str
    """The file of trials, with every timed run."""
    variant: str
    """What the plan is for."""
    plan: Mapping[str, object]
    """The best plan."""
    differences: str
    """What it does that the default plan does not, in words."""
    ratio: float | None
    """How many times as fast as the default plan it is; 1 where it is that plan, None where that is not settled."""
    interval: tuple[float, float] | None
    """The ratio's, each end one-sided."""
    trials: int
    """How many there were, in earlier runs too."""
    not_settled: int
    """For how many of them the machine was not steady enough; another run may try them again."""
    judged: str
    """What accuracy means here."""

    @property
    def usage(self) -> str:
        """How a build takes the plan."""
        return f'use it: plans = "{self.path}" in a recipe, or distilforge build ... --plans {self.path}'


def tune(
    recipe: Recipe,
    variant: VariantName,
    *,
    minutes: float,
    output: Path,
    artifacts: Path,
    seed: int,
    talk: Talk,
) -> Tuned:
    """Search for `minutes` for the plan of `variant` that is fastest here and meets the gates, and save the best.

    The best so far always lies in `output`, with the evidence beside it; started again with the same data on the same
    machine, a search goes on. Raises UsageError, MissingError without Optuna, StageError where no plan meets the
    gates, and what a build raises for checkpoints and data.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        raise UsageError(f"minutes must be above 0, found {minutes:g}", hint="20 is a beginning")
    check_installed()
    found = targets.find(variant.target, variant.precision)
    source = load(recipe)
    exported = export(WorkFolder(artifacts / WORK, talk), recipe, source)
    evidence_path = output.with_name(f"{output.stem}.{variant.target}.{variant.precision}.trials.jsonl")
    evidence_path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{evidence_path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as cause:
        raise UsageError(
            f"another search is writing {evidence_path}", hint="choose another --output"
        ) from cause
    try:
        with tempfile.TemporaryDirectory(prefix="distilforge-tune-") as folder:
            return _tune(
                recipe,
                variant,
                found,
                source,
                exported,
                minutes,
                output,
                evidence_path,
                seed,
                talk,
                Path(folder),
            )
    finally:
        lock.release()


def _tune(
    recipe: Recipe,
    variant: VariantName,
    target: Target,
    source: Source,
    exported: Stage,
    minutes: float,
    output: Path,
    evidence_path: Path,
    seed: int,
    talk: Talk,
    folder: Path,
) -> Tuned:
    from pipeline.tuning.accuracy import Gatekeeper
    from pipeline.tuning.search import Search
    from pipeline.tuning.workshop import Workshop
    from validation.conditions import conditions, physical_cores
    from validation.eager import threads

    count = recipe.gates.threads or physical_cores()
    deadline = time.monotonic() + 60 * minutes
    workshop = Workshop(recipe, source, exported, target, variant.precision, threads=count, folder=folder)
    head = workshop.interface.head
    default = canonical(recipe.plan(variant, head))
    if default.scheme:
        _ = workshop.calibration  # data that cannot serve are an error now, and not in every trial
    kept = saved.others(
        output,
        recipe.plans,
        variant.target,
        [precision for precision in target.precisions if precision != variant.precision],
        head,
    )
    evidence = Evidence(
        evidence_path,
        {
            "variant": str(variant),
            "head": head,
            "model": source.model,
            "tokenizer": source.tokenizer,
            "default": default.to_json(),
            "exclude": recipe.exclude,
            "evaluation": digests.of_file(recipe.evaluation) if recipe.evaluation else None,
            "calibration": digests.of_file(recipe.calibration) if recipe.calibration else None,
            "gates": limits(recipe.gates),
            "machine": conditions(count),
            "tools": versions.of("onnx", "onnx-ir", "onnxscript"),
            "source": versions.source(
                "pipeline.passes", "pipeline.precision", "pipeline.targets", "distilforge"
            ),
        },
        talk,
    )
    with threads(count):
        gatekeeper = Gatekeeper(source.checkpoint.path, workshop.served, recipe.evaluation, recipe.gates)
        for note in gatekeeper.notes:
            talk.note(note)
        base = replace(default, exclude=recipe.exclude)
        options = space(target, variant.precision, base, workshop.modules if default.scheme else ())
        proposals = Proposals(options, evidence, seed)
        search = Search(
            workshop=workshop,
            gatekeeper=gatekeeper,
            gates=recipe.gates,
            evidence=evidence,
            default=default,
            deadline=deadline,
            talk=talk,
            save=lambda plan, comments: saved.write(output, variant.precision, plan, kept, comments),
        )
        if evidence.trials:
            talk.note(f"going on after {len(evidence.trials)} trials in {evidence_path}")
        try:
            search.run(proposals, _starts(recipe, variant, head, default))
        except KeyboardInterrupt:
            left = f"the best so far is in {output}" if search.accurate else "no plan met the gates so far"
            talk.note(f"stopped after {len(evidence.trials)} trials; {left}")
            raise
    if not search.accurate:
        raise StageError(
            "tune",
            f"none of {len(evidence.trials)} plans for {variant} met the gates; {evidence_path} says why",
            hint="`distilforge bisect` names the modules that cost accuracy; more --minutes try more plans",
        )
    best = search.standing
    talk.note(f"{len(evidence.trials)} trials; the best, [{search.described(best)}], is {search.gain}")
    not_settled = sum(trial.outcome == "not settled" for trial in evidence.trials)
    if not_settled:
        talk.note(
            f"{not_settled} of the trials are not settled, since the machine was not steady: "
            "tune again while nothing else runs"
        )
    ratio = Estimate(value=1.0, interval=(1.0, 1.0)) if search.is_first else search.over_default
    return Tuned(
        path=str(output),
        evidence=str(evidence_path),
        variant=str(variant),
        plan=best.to_json(),
        differences=search.described(best),
        ratio=None if ratio is None else ratio.value,
        interval=None if ratio is None else ratio.interval,
        trials=len(evidence.trials),
        not_settled=not_settled,
        judged=gatekeeper.judged,
    )


def _starts(recipe: Recipe, variant: VariantName, head: str, default: Plan) -> tuple[Plan, ...]:
    """The default plan first, then what is committed for the target, for this head and for heads in general."""
    committed = (
        preset(variant.target, variant.precision, each).excluding(recipe.exclude) for each in (head, "")
    )
    found = {key(plan): canonical(plan) for plan in (default, *committed)}
    return tuple(found.values())
