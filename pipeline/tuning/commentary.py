"""A search in words: the comments of its file of plans, and its progress messages."""

from collections.abc import Collection, Mapping

from distilforge.manifest import Manifest, Verdict

from pipeline.recipe.plan import Plan
from pipeline.tuning import duel
from pipeline.tuning.differences import differences
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.search import Search
from validation.judgement.verdicts import AGREEMENT, CALIBRATION, LOSS, NOISE
from validation.reports.numbers import apart

_LOSSES: Collection[str] = (AGREEMENT, CALIBRATION, LOSS, NOISE)


def gain(search: Search) -> str:
    """How the best plan compares with the first one."""
    first, ratio = search.first, search.over_first
    if first is None or search.best is first:
        return "the default plan: nothing was shown to be faster so far"
    failed = "" if first.accurate else ", which does not meet the gates"
    if ratio is None:
        return f"not shown to be faster or slower than the default plan{failed}: the machine was not steady"
    return f"{duel.ratio_text(ratio)} times as fast as the default plan{failed}, by geometric mean over the shapes"


def comments(
    search: Search, trial: Trial, *, default: Plan, manifest: Manifest, evidence: Evidence, judged: str
) -> list[str]:
    """The lines of comments above the saved plan of `trial`; `judged` names the data behind its verdicts."""
    checks = [_check(verdict) for verdict in trial.verdicts]
    return [
        f"Found by `distilforge tune` for {manifest.name} (head {manifest.head}) after "
        f"{len(evidence.trials)} trials;",
        f"every trial, its raw samples, the machine and the versions: {evidence.path.name}",
        gain(search),
        f"differences from the default: {differences(trial.plan, default)}",
        judged,
        *checks,
    ]


def progress_message(search: Search, trial: Trial, default: Plan) -> str:
    """How `trial` ended, and which plan is the best after it."""
    ratio = ""
    if trial.ratio is not None and trial.interval is not None:
        low, high = trial.interval
        ratio = f", {trial.ratio:.3f} ({low:.3f} to {high:.3f}) times as fast as the best plan then"
    best = differences(search.best.plan, default) if search.best else "none"
    return (
        f"trial {trial.number} [{differences(trial.plan, default)}]: {trial.outcome}, {trial.reason}{ratio}"
        f"{_accuracy(trial)}; {trial.seconds:.1f} s; best so far [{best}]"
    )


def _check(verdict: Verdict) -> str:
    observed, limit = apart(verdict.observed, verdict.limit, digits=4)
    return f"{verdict.check}: {observed} ({verdict.comparison} {limit})"


def _accuracy(trial: Trial) -> str:
    """The number of texts, and the results of the checks in which a loss of accuracy appears first."""
    checks: Mapping[str, float] = {
        verdict.check: verdict.observed for verdict in trial.verdicts if verdict.kind in _LOSSES
    }
    values = ", ".join(f"{check} {observed:.4g}" for check, observed in checks.items())
    return f"; on {trial.examples} texts: {values}" if values else ""
