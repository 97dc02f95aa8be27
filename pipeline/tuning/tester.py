"""What a search asks about plans: whether one can be built, whether it is accurate, and how fast several are."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from distilforge.timing.rounds import Timing

from pipeline.recipe.plan import Plan
from pipeline.tuning import duel
from pipeline.tuning.accuracy import AccuracyGate, Judgement
from pipeline.tuning.builder import PlanBuilder, PlanSession
from validation.gates import Gates


class Candidate(Protocol):
    """A plan that could be built and opened."""

    def check_some_texts(self) -> Judgement:
        """A quick judgement of the plan's answers, which only rejects a plan that surely fails."""

    def check_all_texts(self) -> Judgement:
        """The judgement that a build would make."""


class PlanTester(Protocol):
    """Answers what a search asks about plans."""

    def open(self, plan: Plan) -> Candidate:
        """Build and open `plan`; raises the errors of a build for a plan that is impossible."""

    def screen(self, plans: Sequence[Plan]) -> Timing:
        """Time `plans` for a short time; the subjects are the plans' keys. Raises the errors of `measure`."""

    def measure(self, plans: Sequence[Plan]) -> Timing:
        """Time `plans` for long enough to compare them; raises TimingError and EngineError."""

    def pin(self, plans: Iterable[Plan]) -> None:
        """Keep the files of `plans`, which will be timed again."""


class MachineTester:
    """Builds, judges and times plans on this machine, as PlanTester says."""

    def __init__(
        self, builder: PlanBuilder, gate: AccuracyGate, gates: Gates, progress: Callable[[str], None]
    ) -> None:
        self._builder, self._gate, self._gates, self._progress = builder, gate, gates, progress

    def open(self, plan: Plan) -> Candidate:
        return _OpenPlan(self._builder.open(plan), self._gate)

    def screen(self, plans: Sequence[Plan]) -> Timing:
        subjects = [self._builder.subject(plan) for plan in plans]
        return duel.screen(subjects, self._builder.reader.manifest, self._gates)

    def measure(self, plans: Sequence[Plan]) -> Timing:
        subjects = [self._builder.subject(plan) for plan in plans]
        return duel.measure(subjects, self._builder.reader.manifest, self._gates, progress=self._progress)

    def pin(self, plans: Iterable[Plan]) -> None:
        self._builder.pin(plans)


class _OpenPlan:
    def __init__(self, session: PlanSession, gate: AccuracyGate) -> None:
        self._session, self._gate = session, gate

    def check_some_texts(self) -> Judgement:
        return self._gate.check_some_texts(self._session)

    def check_all_texts(self) -> Judgement:
        return self._gate.check_all_texts(self._session)
