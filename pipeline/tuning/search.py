"""The search itself: build a plan, look at its answers, time it against the best so far, and keep what is better."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from distilforge.errors import DistilforgeError, TimingError
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing

from pipeline.errors import ContractError, PipelineError
from pipeline.recipe.plan import Plan
from pipeline.store.work import Talk
from pipeline.tuning import duel
from pipeline.tuning.accuracy import Gatekeeper, Judged
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.proposals import Proposals
from pipeline.tuning.space import Params
from pipeline.tuning.words import differences
from pipeline.tuning.workshop import Opened, Workshop
from validation.errors import ArtifactError
from validation.gate import Gates

Save = Callable[[Plan, Sequence[str]], None]
# A plan's own fault; what is wrong with the checkpoint or the data ends the search.
_IMPOSSIBLE = (PipelineError, DistilforgeError, ArtifactError)


class _OutOfTimeError(Exception):
    """The time is up; the trial under way is left for another run."""


class Search:
    """Tries plans until the deadline (of time.monotonic), and calls `save` with each that is better than the last.

    A plan replaces the best so far only where it meets the gates on all the texts and is shown to be faster, in rounds
    taken after those that made it a candidate: the lower end of the ratio's interval lies above 1, against the best and
    against the default, where that one meets the gates itself. A tie keeps what is there. Where the machine was not
    steady, nothing is shown, and the plan is not settled.

    The first plan that can be built is the best so far even where it fails the gates, to be timed against.
    """

    def __init__(
        self,
        *,
        workshop: Workshop,
        gatekeeper: Gatekeeper,
        gates: Gates,
        evidence: Evidence,
        default: Plan,
        deadline: float,
        talk: Talk,
        save: Save,
    ) -> None:
        self._workshop, self._gatekeeper, self._gates = workshop, gatekeeper, gates
        self._evidence, self._default, self._deadline = evidence, default, deadline
        self._talk = talk
        self._save = save
        self._standing: Trial | None = None
        self._first: Trial | None = None

    def run(self, proposals: Proposals, starts: Sequence[Plan]) -> None:
        """Search; what an earlier run found stands from the beginning."""
        self._resume()
        try:
            self._go_through(proposals, starts)
        finally:
            if self._standing is not None:
                self._keep(self._standing)

    def _go_through(self, proposals: Proposals, starts: Sequence[Plan]) -> None:
        for plan, params in proposals.all(starts):
            if self._standing is not None and time.monotonic() >= self._deadline:
                return
            self._evidence.begin(plan)
            try:
                trial = self._tried(plan, params)
            except _OutOfTimeError:
                self._evidence.unfinished(plan)
                return
            except KeyboardInterrupt:
                self._evidence.unfinished(plan)
                raise
            proposals.learn(trial)
            self._tell(trial)

    @property
    def accurate(self) -> bool:
        """Whether any plan met the gates, and is saved."""
        return self._standing is not None and self._standing.accurate

    @property
    def standing(self) -> Plan:
        """The best plan so far."""
        assert self._standing is not None
        return self._standing.plan

    @property
    def is_first(self) -> bool:
        """Whether nothing has replaced the first plan."""
        return self._standing is self._first

    @property
    def over_default(self) -> Estimate | None:
        """How many times as fast the best is as the first plan, in its own rounds.

        None where it is that plan, and where those rounds were not steady.
        """
        assert self._standing is not None
        assert self._first is not None
        timing = self._standing.timing
        if timing is None or not timing.steadiness.steady:
            return None
        return timing.ratio(self._standing.key, self._first.key, confidence=self._gates.confidence)

    @property
    def gain(self) -> str:
        """How the best compares with the first plan, in words."""
        if self._first is None or self.is_first:
            return "the default plan: nothing was shown to be faster so far"
        failed = "" if self._first.accurate else ", which does not meet the gates"
        ratio = self.over_default
        if ratio is None:
            return (
                f"not shown to be faster or slower than the default plan{failed}: the machine was not steady"
            )
        return f"{duel.words(ratio)} times as fast as the default plan{failed}, by geometric mean over the shapes"

    def described(self, plan: Plan) -> str:
        """`plan` in words, as what differs from the default."""
        return differences(plan, self._default)

    def _resume(self) -> None:
        for trial in self._evidence.trials:
            if trial.outcome == "better":
                self._stand(trial)
        if self._standing is not None:
            self._keep(self._standing)

    def _stand(self, trial: Trial) -> None:
        self._standing = trial
        self._first = self._first or trial
        self._workshop.hold([trial.plan, self._first.plan])

    def _tried(self, plan: Plan, params: Params) -> Trial:
        started = time.monotonic()
        blank = Trial(
            number=len(self._evidence.trials),
            plan=plan,
            params=params,
            outcome="impossible",
            reason="",
        )
        try:
            opened = self._workshop.open(plan)
            trial = self._judged(replace(blank, outcome="not faster"), opened)
        except _IMPOSSIBLE as error:
            trial = replace(blank, reason=str(error).partition("\n")[0], fault=_fault(error))
        trial = replace(trial, seconds=time.monotonic() - started)
        self._evidence.finish(trial)
        if trial.outcome == "better":
            self._stand(trial)
            self._keep(trial)
        return trial

    def _judged(self, trial: Trial, opened: Opened) -> Trial:
        standing = self._standing
        if standing is None:
            judged = self._gatekeeper.whole(opened)
            return _with(
                replace(trial, outcome="better", reason="the first that can be built", value=0.0), judged
            )
        self._check_clock()
        coarse = self._gatekeeper.coarse(opened)
        if coarse.failures:
            return _with(replace(trial, outcome="less accurate", reason="; ".join(coarse.failures)), coarse)
        trial = _with(trial, coarse)
        self._check_clock()
        try:
            trial = self._raced(trial, standing)
        except TimingError as error:
            return replace(trial, outcome="not settled", reason=error.message)
        if trial.reason:
            return trial
        self._check_clock()
        whole = self._gatekeeper.whole(opened)
        if whole.failures:
            return _with(replace(trial, outcome="less accurate", reason="; ".join(whole.failures)), whole)
        reason = "faster" if standing.accurate else "the first that meets the gates"
        return _with(replace(trial, outcome="better", reason=reason), whole)

    def _raced(self, trial: Trial, standing: Trial) -> Trial:
        """`trial`, timed, with a reason where it cannot replace `standing`; a plan that fails the gates is no rival."""
        trial = self._screened(trial, standing)
        assert trial.timing is not None
        assert trial.ratio is not None
        if trial.ratio <= 1 and standing.accurate and trial.timing.steadiness.steady:
            return replace(trial, reason="slower, or as fast, in a few rounds")
        self._check_clock()
        trial = self._timed(trial, standing)
        if not standing.accurate:
            return trial
        assert trial.timing is not None
        rivals = {one.key for one in (standing, self._first) if one is not None and one.accurate}
        outcome = duel.outcome(trial.timing, trial.key, rivals, confidence=self._gates.confidence)
        if outcome == "not settled":
            why = "; ".join(trial.timing.steadiness.reasons)
            return replace(trial, outcome=outcome, reason=f"the machine was not steady: {why}")
        return trial if outcome == "better" else replace(trial, reason="not shown to be faster")

    def _screened(self, trial: Trial, standing: Trial) -> Trial:
        """`trial` with its time beside the best so far, in a few rounds."""
        subjects = [self._workshop.subject(one.plan) for one in (standing, trial)]
        timing = duel.screened(subjects, self._workshop.served.manifest, self._gates)
        return self._with_times(trial, timing, standing)

    def _timed(self, trial: Trial, standing: Trial) -> Trial:
        """`trial` with its time beside the best so far and beside the first."""
        plans = {one.key: one.plan for one in (standing, trial, self._first) if one is not None}
        timing = duel.timed(
            [self._workshop.subject(plan) for plan in plans.values()],
            self._workshop.served.manifest,
            self._gates,
            progress=self._talk.note,
        )
        return self._with_times(trial, timing, standing)

    def _with_times(self, trial: Trial, timing: Timing, standing: Trial) -> Trial:
        ratio = timing.ratio(trial.key, standing.key, confidence=self._gates.confidence)
        # Both answered every shape
        assert ratio is not None
        assert standing.value is not None
        return replace(
            trial,
            value=standing.value - math.log(ratio.value),
            over=standing.key,
            ratio=ratio.value,
            interval=ratio.interval,
            measurements=timing.measurements,
            steadiness=timing.steadiness,
        )

    def _check_clock(self) -> None:
        if time.monotonic() >= self._deadline:
            raise _OutOfTimeError

    def _keep(self, trial: Trial) -> None:
        """Save the plan, where it meets the gates; a better one is saved before anything else is tried."""
        if not trial.accurate:
            return
        manifest = self._workshop.served.manifest
        checks = [
            f"{verdict.check}: {verdict.observed:.4g} ({verdict.comparison} {verdict.limit:g})"
            for verdict in trial.verdicts
        ]
        self._save(
            trial.plan,
            [
                f"Found by `distilforge tune` for {manifest.name} (head {manifest.head}) after "
                f"{len(self._evidence.trials)} trials;",
                f"every trial, its raw samples, the machine and the versions: {self._evidence.path.name}",
                self.gain,
                f"what differs from the default: {self.described(trial.plan)}",
                self._gatekeeper.judged,
                *checks,
            ],
        )

    def _tell(self, trial: Trial) -> None:
        ratio = ""
        if trial.ratio is not None and trial.interval is not None:
            low, high = trial.interval
            ratio = f", {trial.ratio:.3f} ({low:.3f} to {high:.3f}) times as fast as the best then"
        best = self.described(self._standing.plan) if self._standing else "none"
        self._talk.note(
            f"trial {trial.number} [{self.described(trial.plan)}]: {trial.outcome}, {trial.reason}{ratio}"
            f"{_accuracy(trial)}; {trial.seconds:.1f} s; best so far [{best}]"
        )


def _fault(error: Exception) -> str:
    return error.name if isinstance(error, ContractError) else ""


def _with(trial: Trial, judged: Judged) -> Trial:
    return replace(trial, verdicts=judged.verdicts, examples=judged.examples)


def _accuracy(trial: Trial) -> str:
    """The check that is nearest to what was lost, on how many texts."""
    shares = [verdict for verdict in trial.verdicts if verdict.check.startswith(("labels", "loss", "noise"))]
    told = ", ".join(f"{verdict.check} {verdict.observed:.4g}" for verdict in shares)
    return f"; on {trial.examples} texts: {told}" if told else ""
