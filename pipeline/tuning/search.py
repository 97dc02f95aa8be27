"""The search itself: build a plan, look at its answers, time it against the best so far, and keep what is better."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from distilforge.errors import DistilforgeError

from pipeline.errors import ContractError, PipelineError
from pipeline.plan import Plan
from pipeline.tuning import duel
from pipeline.tuning.accuracy import Gatekeeper, Judged
from pipeline.tuning.duel import Speed
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.proposals import Proposals
from pipeline.tuning.space import Params
from pipeline.tuning.words import differences
from pipeline.tuning.workshop import Opened, Workshop
from pipeline.work import Talk
from validation.errors import ArtifactError
from validation.gate import Gates

Save = Callable[[Plan, Sequence[str]], None]
# A plan's own fault; what is wrong with the checkpoint or the data ends the search.
_IMPOSSIBLE = (PipelineError, DistilforgeError, ArtifactError)


class _OutOfTimeError(Exception):
    """The time is up; the trial under way is left for another run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The best so far; the first plan that can be built stands even where it fails the gates, to be timed against."""

    trial: Trial
    opened: Opened

    @property
    def name(self) -> str:
        return self.trial.key


class Search:
    """Tries plans until the deadline (of time.monotonic), and calls `save` with each that is better than the last.

    A plan replaces the best so far only where it meets the gates on all the texts and is shown to be faster, in rounds
    taken after those that made it a candidate: the lower end of the ratio's interval lies above 1, against the best and
    against the default, where that one meets the gates itself. A tie keeps what is there.
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
        self._standing: _Standing | None = None
        self._first: _Standing | None = None

    def run(self, proposals: Proposals, starts: Sequence[Plan]) -> None:
        """Search; what an earlier run found stands from the beginning."""
        self._resume()
        try:
            self._go_through(proposals, starts)
        finally:
            if self._standing is not None:
                self._keep(self._standing.trial)

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
        return self._standing is not None and self._standing.trial.accurate

    @property
    def standing(self) -> Plan:
        """The best plan so far."""
        assert self._standing is not None
        return self._standing.trial.plan

    @property
    def over_default(self) -> Speed | None:
        """How much faster the best is than the first plan, in its own rounds; None where it is that plan."""
        assert self._standing is not None
        assert self._first is not None
        trial, first = self._standing.trial, self._first.name
        if trial.key == first:
            return None
        timings = duel.timings_of(trial.measurements)
        return duel.speed(timings, trial.key, first, self._gates.confidence)

    @property
    def gain(self) -> str:
        """How the best compares with the first plan, in words."""
        speed = self.over_default
        if speed is None or self._first is None:
            return "the default plan: nothing was shown to be faster so far"
        failed = "" if self._first.trial.accurate else ", which does not meet the gates"
        return f"{speed} times as fast as the default plan{failed}, by geometric mean over the shapes"

    def described(self, plan: Plan) -> str:
        """`plan` in words, as what differs from the default."""
        return differences(plan, self._default)

    def _resume(self) -> None:
        better = [trial for trial in self._evidence.trials if trial.outcome == "better"]
        if better:
            self._first = self._stand(better[0])
            self._standing = self._stand(better[-1]) if better[1:] else self._first
            self._keep(better[-1])

    def _stand(self, trial: Trial) -> _Standing:
        return _Standing(trial=trial, opened=self._workshop.open(trial.plan))

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
            trial, opened = replace(blank, reason=str(error).partition("\n")[0], fault=_fault(error)), None
        trial = replace(trial, seconds=time.monotonic() - started)
        self._evidence.finish(trial)
        if opened is not None and trial.outcome == "better":
            self._standing = _Standing(trial=trial, opened=opened)
            self._first = self._first or self._standing
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
        self._check_clock()
        trial = self._timed(_with(trial, coarse), opened, standing, final=False)
        assert trial.ratio is not None
        if trial.ratio <= 1 and standing.trial.accurate:
            return replace(trial, reason="slower, or as fast, in a few rounds")
        self._check_clock()
        trial = self._timed(trial, opened, standing, final=True)
        if standing.trial.accurate and not self._shown_faster(trial, standing):
            return replace(trial, reason="not shown to be faster")
        self._check_clock()
        whole = self._gatekeeper.whole(opened)
        if whole.failures:
            return _with(replace(trial, outcome="less accurate", reason="; ".join(whole.failures)), whole)
        reason = "faster" if standing.trial.accurate else "the first that meets the gates"
        return _with(replace(trial, outcome="better", reason=reason), whole)

    def _timed(self, trial: Trial, opened: Opened, standing: _Standing, *, final: bool) -> Trial:
        """`trial` with its time beside the best so far, and with `final` for longer and beside the first too."""
        subjects = {trial.key: opened.session, standing.name: standing.opened.session}
        if self._first is not None and final:
            subjects[self._first.name] = self._first.opened.session
        seconds = self._gates.seconds_per_shape if final else duel.SCREENING
        timings = duel.timed(subjects, self._workshop.served, self._gates, seconds=seconds)
        speed = duel.speed(timings, trial.key, standing.name, self._gates.confidence)
        assert standing.trial.value is not None
        return replace(
            trial,
            value=standing.trial.value - speed.logarithm,
            over=standing.name,
            ratio=speed.ratio,
            interval=(speed.low, speed.high),
            measurements=duel.measurements(timings),
        )

    def _shown_faster(self, trial: Trial, standing: _Standing) -> bool:
        timings = duel.timings_of(trial.measurements)
        first = self._first
        # A default that fails the gates is no rival
        rivals = {standing.name, first.name} if first and first.trial.accurate else {standing.name}
        return all(duel.speed(timings, trial.key, rival, self._gates.confidence).faster for rival in rivals)

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
        best = self.described(self._standing.trial.plan) if self._standing else "none"
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
