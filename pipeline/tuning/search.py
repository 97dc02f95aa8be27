"""The search itself: build a plan, judge its answers, time it against the best so far, and keep it if it is better."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from distilforge.errors import DistilforgeError, TimingError
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing

from pipeline.errors import ContractError, PipelineError
from pipeline.recipe.plan import Plan
from pipeline.tuning import duel
from pipeline.tuning.accuracy import Judgement
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.proposals import Proposals
from pipeline.tuning.space import Params
from pipeline.tuning.tester import Candidate, PlanTester
from validation.errors import ArtifactError

# These make one plan impossible. An error in the checkpoint or the data is another class and ends the search.
_IMPOSSIBLE = (PipelineError, DistilforgeError, ArtifactError)


class _DeadlineError(Exception):
    """The time is up; the current trial is left for another run."""


class Search:
    """Tries plans until `deadline` (seconds of `clock`) and keeps the best.

    A plan replaces the best so far if it meets the gates on all texts and is shown to be faster than the best, and
    than the first plan if that meets the gates. The proof needs rounds of its own, taken after those that made the
    plan a candidate, and the lower end of the ratio's interval must lie above 1. A tie therefore changes nothing. If
    the machine was not steady, nothing is proved, and the plan is not settled.

    The first plan that can be built becomes the best even if it fails the gates, so the others can be timed against
    it.

    `confidence` is that of the gates. `save` is called with every trial whose plan becomes the best and meets the
    gates, and with the best at the end. `report` is called with every trial.
    """

    def __init__(
        self,
        *,
        tester: PlanTester,
        evidence: Evidence,
        confidence: float,
        deadline: float,
        save: Callable[["Search", Trial], None],
        report: Callable[["Search", Trial], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tester, self._evidence, self._confidence = tester, evidence, confidence
        self._deadline, self._clock = deadline, clock
        self._save, self._report = save, report

    def run(self, proposals: Proposals, starts: Sequence[Plan]) -> None:
        """Search from the plans `starts`; the trials of earlier runs count."""
        self._save_best()
        try:
            self._try_all(proposals, starts)
        finally:
            # A signal may have come after a trial was recorded and before its plan was saved
            self._save_best()

    @property
    def best(self) -> Trial | None:
        """The trial of the best plan so far; None before any plan could be built."""
        return next((trial for trial in reversed(self._evidence.trials) if trial.outcome == "better"), None)

    @property
    def first(self) -> Trial | None:
        """The trial of the first plan that could be built, which is the default plan unless that is impossible."""
        return next((trial for trial in self._evidence.trials if trial.outcome == "better"), None)

    @property
    def over_first(self) -> Estimate | None:
        """How many times as fast the best plan is as the first, in the rounds of its own trial.

        None if the best plan is the first, or if those rounds were not steady.
        """
        best, first = self.best, self.first
        if best is None or first is None:
            return None
        timing = best.timing
        if timing is None or not timing.steadiness.steady:
            return None
        return timing.ratio(best.key, first.key, confidence=self._confidence)

    def _try_all(self, proposals: Proposals, starts: Sequence[Plan]) -> None:
        for plan, params in proposals.plans(starts):
            if self.best is not None and self._clock() >= self._deadline:
                return
            self._evidence.begin(plan)
            try:
                trial = self._try(plan, params)
            except _DeadlineError:
                self._evidence.abandon(plan)
                return
            except KeyboardInterrupt:
                self._evidence.abandon(plan)
                raise
            proposals.learn(trial)
            self._report(self, trial)

    def _save_best(self) -> None:
        """Keep the files of the best plan and of the first, and save the best if it meets the gates."""
        best, first = self.best, self.first
        if best is None or first is None:
            return
        self._tester.pin([best.plan, first.plan])
        if best.accurate:
            self._save(self, best)

    def _try(self, plan: Plan, params: Params) -> Trial:
        started = self._clock()
        trial = Trial(
            number=len(self._evidence.trials), plan=plan, params=params, outcome="not faster", reason=""
        )
        try:
            trial = self._compare(trial, self._tester.open(plan))
        except _IMPOSSIBLE as error:
            trial = replace(
                trial,
                outcome="impossible",
                reason=str(error).partition("\n")[0],
                failed_pass=error.name if isinstance(error, ContractError) else "",
            )
        trial = replace(trial, seconds=self._clock() - started)
        self._evidence.finish(trial)
        if trial.outcome == "better":
            self._save_best()
        return trial

    def _compare(self, trial: Trial, candidate: Candidate) -> Trial:
        """`trial` with its outcome, after the cheapest checks that settle it."""
        best = self.best
        if best is None:
            judgement = candidate.check_all_texts()
            first = replace(trial, outcome="better", reason="the first plan that can be built", value=0.0)
            return _judged(first, judgement)
        self._check_deadline()
        judgement = candidate.check_some_texts()
        trial = _judged(trial, judgement)
        if judgement.failures:
            return replace(trial, outcome="less accurate", reason="; ".join(judgement.failures))
        self._check_deadline()
        try:
            trial = self._race(trial, best)
        except TimingError as error:
            return replace(trial, outcome="not settled", reason=error.message)
        if trial.reason:
            return trial
        self._check_deadline()
        judgement = candidate.check_all_texts()
        trial = _judged(trial, judgement)
        if judgement.failures:
            return replace(trial, outcome="less accurate", reason="; ".join(judgement.failures))
        reason = "faster" if best.accurate else "the first plan that meets the gates"
        return replace(trial, outcome="better", reason=reason)

    def _race(self, trial: Trial, best: Trial) -> Trial:
        """`trial` with its times, and with a reason if it cannot replace `best`.

        A plan that fails the gates need not be beaten.
        """
        timing = self._tester.screen([best.plan, trial.plan])
        trial = self._timed(trial, timing, best)
        assert trial.ratio is not None
        if trial.ratio <= 1 and best.accurate and timing.steadiness.steady:
            return replace(trial, reason="not faster in a few rounds")
        self._check_deadline()
        contestants = {one.key: one.plan for one in (best, trial, self.first) if one is not None}
        timing = self._tester.measure(list(contestants.values()))
        trial = self._timed(trial, timing, best)
        if not best.accurate:
            return trial
        rivals = {one.key for one in (best, self.first) if one is not None and one.accurate}
        outcome = duel.outcome(timing, trial.key, rivals, confidence=self._confidence)
        if outcome == "not settled":
            causes = "; ".join(timing.steadiness.reasons)
            return replace(trial, outcome=outcome, reason=f"the machine was not steady: {causes}")
        return trial if outcome == "better" else replace(trial, reason="not shown to be faster")

    def _timed(self, trial: Trial, timing: Timing, best: Trial) -> Trial:
        ratio = timing.ratio(trial.key, best.key, confidence=self._confidence)
        # Both plans answered every shape
        assert ratio is not None
        assert best.value is not None
        return replace(
            trial,
            value=best.value - math.log(ratio.value),
            rival=best.key,
            ratio=ratio.value,
            interval=ratio.interval,
            measurements=timing.measurements,
            steadiness=timing.steadiness,
        )

    def _check_deadline(self) -> None:
        if self._clock() >= self._deadline:
            raise _DeadlineError


def _judged(trial: Trial, judgement: Judgement) -> Trial:
    return replace(trial, verdicts=judgement.verdicts, examples=judgement.examples)
