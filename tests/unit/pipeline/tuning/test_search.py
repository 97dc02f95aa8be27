"""The choices of a search, on made-up times and verdicts: no plan is built and nothing is timed."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from distilforge.errors import TimingError
from distilforge.manifest import Measurement, Steadiness, Verdict
from distilforge.timing.rounds import Timing

from pipeline.errors import ContractError, StageError
from pipeline.recipe.plan import Plan
from pipeline.tuning import proposals
from pipeline.tuning.accuracy import Judgement
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.proposals import Proposals
from pipeline.tuning.search import Search
from pipeline.tuning.space import Parameter, Space, plan_key
from tests.integration.conftest import Listener

STEADY = Steadiness(steady=True, reasons=(), rounds=60)
BUSY = Steadiness(steady=False, reasons=("other processes took 1 core",), rounds=60)
MET = Verdict(
    check="labels", kind="agreement", observed=0.99, comparison="at least", limit=0.98, unit="", reason=""
)
NOT_MET = replace(MET, observed=0.5)
SOME_TEXTS, ALL_TEXTS = 20, 100
DEFAULT = Plan()


@pytest.fixture(autouse=True)
def _small_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of 16 plans is known to be exhausted sooner than a real one."""
    monkeypatch.setattr(proposals, "MOST_REPEATS", 100)


def passes(*names: str) -> Plan:
    return Plan(passes=names)


@dataclass(kw_only=True)
class MadeUpTester:
    """A machine on which each pass multiplies the time of a plan by its factor, with a noise of 2%.

    Answers are accurate except where a plan has one of the passes named. Every question is remembered in `asked`.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    wrong_on_some_texts: frozenset[str] = frozenset()
    wrong_on_all_texts: frozenset[str] = frozenset()
    steadiness: Steadiness = STEADY
    noise: float = 0.02
    asked: list[tuple[str, ...]] = field(default_factory=list)
    pinned: tuple[Plan, ...] = ()
    before: Callable[[str, Sequence[Plan]], None] = lambda question, plans: None
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20))

    def open(self, plan: Plan) -> "MadeUpCandidate":
        self.ask("open", plan)
        return MadeUpCandidate(self, plan)

    def screen(self, plans: Sequence[Plan]) -> Timing:
        self.ask("screen", *plans)
        return self.timing(plans, rounds=6)

    def measure(self, plans: Sequence[Plan]) -> Timing:
        self.ask("measure", *plans)
        return self.timing(plans, rounds=60)

    def pin(self, plans: Iterable[Plan]) -> None:
        self.pinned = tuple(plans)

    def ask(self, question: str, *plans: Plan) -> None:
        self.before(question, plans)
        self.asked.append((question, *map(plan_key, plans)))

    def timing(self, plans: Sequence[Plan], *, rounds: int) -> Timing:
        return Timing(
            measurements=tuple(
                Measurement(
                    subject=plan_key(plan),
                    batch=1,
                    tokens=8,
                    seconds=tuple(self.seconds(plan) * self.random.normal(1, self.noise, rounds)),
                    runs=(1,) * rounds,
                )
                for plan in plans
            ),
            steadiness=self.steadiness,
        )

    def seconds(self, plan: Plan) -> float:
        return math.prod(self.factors.get(name, 1.0) for name in plan.passes)

    def questions(self, plan: Plan) -> list[str]:
        """The questions that were asked about `plan`, other than beside another plan that was on trial."""
        return [question for question, *keys in self.asked if plan_key(plan) in keys]


@dataclass(frozen=True)
class MadeUpCandidate:
    tester: MadeUpTester
    plan: Plan

    def check_some_texts(self) -> Judgement:
        self.tester.ask("some texts", self.plan)
        return judgement(not self.tester.wrong_on_some_texts & set(self.plan.passes), SOME_TEXTS)

    def check_all_texts(self) -> Judgement:
        self.tester.ask("all texts", self.plan)
        wrong = self.tester.wrong_on_some_texts | self.tester.wrong_on_all_texts
        return judgement(not wrong & set(self.plan.passes), ALL_TEXTS)


def judgement(met: bool, examples: int) -> Judgement:
    verdict = MET if met else NOT_MET
    return Judgement(verdicts=(verdict,), examples=examples, failures=() if met else ("labels is 0.5",))


class Run:
    """One search over plans with and without each of `names`, whose evidence is in `folder`."""

    def __init__(
        self,
        tester: MadeUpTester,
        folder: Path,
        names: Sequence[str] = (),
        *,
        deadline: float = math.inf,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        space = Space(
            base=Plan(),
            parameters=tuple(
                Parameter(name=name, options={"without": Plan(), "with": passes(name)}) for name in names
            ),
        )
        self.saved: list[Plan] = []
        self.reported: list[Trial] = []
        self.evidence = Evidence(folder / "trials.jsonl", {}, Listener())
        self.proposals = Proposals(space, self.evidence, seed=0)
        self.search = Search(
            tester=tester,
            evidence=self.evidence,
            confidence=0.95,
            deadline=deadline,
            save=lambda search, trial: self.saved.append(trial.plan),
            report=lambda search, trial: self.reported.append(trial),
            clock=clock,
        )

    def go(self, *starts: Plan) -> "Run":
        self.search.run(self.proposals, (DEFAULT, *starts))
        return self

    @property
    def best(self) -> Plan:
        assert self.search.best is not None
        return self.search.best.plan

    def trial(self, plan: Plan) -> Trial:
        """The last trial of `plan`."""
        return [trial for trial in self.evidence.trials if trial.key == plan_key(plan)][-1]


def test_the_known_best_is_found_among_all_plans(tmp_path: Path) -> None:
    """Two passes help together, two hurt; with 60 rounds of 2% noise, every step is far from a tie."""
    tester = MadeUpTester(factors={"a": 0.8, "b": 0.9, "c": 1.1, "d": 1.2})
    run = Run(tester, tmp_path, "abcd").go()
    assert run.best == passes("a", "b")
    assert run.saved[-1] == run.best
    assert len(run.evidence.trials) == 2**4
    ratio = run.search.over_first
    assert ratio is not None
    assert ratio.interval is not None
    # 1 / (0.8 * 0.9) = 1.389; the median of 60 rounds with 2% of noise on both sides is 0.5% off
    assert ratio.value == pytest.approx(1.389, rel=0.02)
    assert ratio.interval[0] < ratio.value < ratio.interval[1]
    assert tester.pinned == (run.best, DEFAULT)


def test_every_new_best_is_faster_than_the_one_before(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.9, "b": 0.8, "c": 0.95, "d": 1.3})
    run = Run(tester, tmp_path, "abcd").go()
    times = [tester.seconds(trial.plan) for trial in run.evidence.trials if trial.outcome == "better"]
    assert times == sorted(times, reverse=True)
    assert len(times) > 2
    # The value of a trial adds up the logarithms of the ratios since the default; 3 ratios are 0.5% off each
    assert run.search.best is not None
    assert run.search.best.value == pytest.approx(math.log(tester.seconds(run.best)), abs=0.03)


def test_a_tie_keeps_the_default(tmp_path: Path) -> None:
    run = Run(MadeUpTester(noise=0.0), tmp_path, "abc").go()
    assert run.best == DEFAULT
    assert {trial.outcome for trial in run.evidence.trials[1:]} == {"not faster"}


def test_a_lucky_screening_is_not_a_win(tmp_path: Path) -> None:
    """The few rounds that make a plan a candidate do not count as proof: the plan has to win in rounds of its own."""
    tester = MadeUpTester(factors={"a": 0.5}, noise=0.0)

    def no_gain_in_the_long_run(question: str, plans: Sequence[Plan]) -> None:
        tester.factors = {"a": 0.5 if question == "screen" else 1.0}

    tester.before = no_gain_in_the_long_run
    run = Run(tester, tmp_path, "a").go()
    assert run.best == DEFAULT
    trial = run.trial(passes("a"))
    assert (trial.outcome, trial.reason) == ("not faster", "not shown to be faster")
    assert trial.ratio == 1.0


def test_a_slower_plan_costs_a_few_rounds_only(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 2.0})
    run = Run(tester, tmp_path, "a").go()
    assert tester.questions(passes("a")) == ["open", "some texts", "screen"]
    trial = run.trial(passes("a"))
    assert trial.outcome == "not faster"
    assert trial.value == pytest.approx(math.log(2), abs=0.03)  # 6 rounds of 2% noise are 1% off


def test_a_wrong_plan_is_rejected_before_it_is_timed(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.1}, wrong_on_some_texts=frozenset("a"))
    run = Run(tester, tmp_path, "a").go()
    assert tester.questions(passes("a")) == ["open", "some texts"]
    trial = run.trial(passes("a"))
    assert (trial.outcome, trial.reason, trial.examples) == ("less accurate", "labels is 0.5", SOME_TEXTS)
    assert run.best == DEFAULT


def test_a_plan_that_fails_on_all_texts_is_never_best_however_fast(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.1, "b": 0.9}, wrong_on_all_texts=frozenset("a"))
    run = Run(tester, tmp_path, "ab").go()
    assert tester.questions(passes("a"))[-1] == "all texts"
    trial = run.trial(passes("a"))
    assert (trial.outcome, trial.examples, trial.accurate) == ("less accurate", ALL_TEXTS, False)
    assert run.best == passes("b")
    assert all("a" not in plan.passes for plan in run.saved)


def test_an_unsteady_machine_settles_nothing(tmp_path: Path) -> None:
    run = Run(MadeUpTester(factors={"a": 0.5}, steadiness=BUSY), tmp_path, "a").go()
    trial = run.trial(passes("a"))
    assert trial.outcome == "not settled"
    assert trial.reason == "the machine was not steady: other processes took 1 core"
    assert run.best == DEFAULT
    # Another run, on a steady machine, tries the plan again
    again = Run(MadeUpTester(factors={"a": 0.5}), tmp_path, "a").go()
    assert again.best == passes("a")
    assert [trial.outcome for trial in again.evidence.trials] == ["better", "not settled", "better"]


def test_a_timing_that_ends_early_settles_nothing(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.5})

    def end(question: str, plans: Sequence[Plan]) -> None:
        if question == "screen":
            raise TimingError("the process of a ended")

    tester.before = end
    trial = Run(tester, tmp_path, "a").go().trial(passes("a"))
    assert (trial.outcome, trial.reason) == ("not settled", "the process of a ended")
    assert trial.timing is None


def test_a_default_that_fails_the_gates_is_replaced_even_by_a_slower_plan(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 1.5})
    tester.wrong_on_all_texts = frozenset({"default"})
    default = passes("default")
    run = Run(tester, tmp_path, "a")
    run.search.run(run.proposals, (default,))
    assert run.trial(default).outcome == "better"
    assert not run.trial(default).accurate
    # Neither of the two plans of the space has the pass that is wrong; the faster one is the best in the end
    assert run.best == DEFAULT
    assert default not in run.saved
    first_accurate = run.evidence.trials[1]
    assert first_accurate.reason == "the first plan that meets the gates"


def test_a_new_best_has_to_beat_the_first_plan_too(tmp_path: Path) -> None:
    """Small errors could add up over many steps, so the default is timed again beside every candidate."""
    tester = MadeUpTester(factors={"a": 0.9, "b": 0.95})

    def slow_down_the_best(question: str, plans: Sequence[Plan]) -> None:
        if question == "open" and plans[0] == passes("b"):
            tester.factors = {"a": 2.0, "b": 1.5}  # faster than the best by now, slower than the default

    tester.before = slow_down_the_best
    run = Run(tester, tmp_path).go(passes("a"), passes("b"))
    assert run.best == passes("a")
    assert run.trial(passes("b")).reason == "not shown to be faster"
    assert ("measure", *map(plan_key, (passes("a"), passes("b"), DEFAULT))) in tester.asked


def test_an_impossible_plan_is_recorded_and_tried_without_the_pass_at_fault(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.5, "b": 0.5})

    def refuse(question: str, plans: Sequence[Plan]) -> None:
        if question == "open" and "b" in plans[0].passes:
            raise ContractError("b", 0, 1, ())

    tester.before = refuse
    run = Run(tester, tmp_path, "ab").go(passes("a", "b"))
    outcomes = [(trial.plan.passes, trial.outcome) for trial in run.evidence.trials]
    assert outcomes[:3] == [((), "better"), (("a", "b"), "impossible"), (("a",), "better")]
    trial = run.trial(passes("a", "b"))
    assert trial.failed_pass == "b"
    assert "b matched 0 times" in trial.reason
    assert "\n" not in trial.reason


def test_where_the_default_is_impossible_the_next_plan_is_the_first(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 2.0})

    def refuse(question: str, plans: Sequence[Plan]) -> None:
        if question == "open" and plans[0] == DEFAULT:
            raise StageError("tune", "no such thing")

    tester.before = refuse
    run = Run(tester, tmp_path, "a").go()
    assert run.best == passes("a")
    assert run.search.first is run.search.best


def test_no_plan_at_all(tmp_path: Path) -> None:
    tester = MadeUpTester()

    def refuse(question: str, plans: Sequence[Plan]) -> None:
        raise StageError("tune", "no such thing")

    tester.before = refuse
    run = Run(tester, tmp_path, "a", deadline=-1).go()
    assert run.search.best is None
    assert run.search.over_first is None
    assert run.saved == []
    # A deadline does not end a search that has nothing to keep
    assert len(run.evidence.trials) == 2


def test_an_error_of_our_own_ends_the_search_and_counts_against_the_plan(tmp_path: Path) -> None:
    tester = MadeUpTester()

    def fail(question: str, plans: Sequence[Plan]) -> None:
        if plans[0] == passes("a"):
            raise RuntimeError("a bug")

    tester.before = fail
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a bug"):
            Run(tester, tmp_path, "a").go()
    # The third run leaves the plan alone
    assert [trial.plan for trial in Run(tester, tmp_path, "a").go().evidence.trials] == [DEFAULT]


@pytest.mark.parametrize("question", ["some texts", "screen", "measure"])
def test_the_deadline_leaves_the_trial_for_another_run(question: str, tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.5})
    now = [0.0]

    def pass_time(asked: str, plans: Sequence[Plan]) -> None:
        now[0] += asked == question

    tester.before = pass_time
    run = Run(tester, tmp_path, "a", deadline=0.5, clock=lambda: now[0]).go()
    assert [trial.plan for trial in run.evidence.trials] == [DEFAULT]
    assert run.saved[-1] == DEFAULT
    assert Run(MadeUpTester(factors={"a": 0.5}), tmp_path, "a").go().best == passes("a")


def test_ctrl_c_keeps_the_best_and_does_not_count_against_the_plan(tmp_path: Path) -> None:
    tester = MadeUpTester(factors={"a": 0.5, "b": 0.4})

    def interrupt(question: str, plans: Sequence[Plan]) -> None:
        if question == "measure" and passes("b") in plans:
            raise KeyboardInterrupt

    tester.before = interrupt
    for _ in range(3):
        run = Run(tester, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            run.go(passes("a"), passes("b"))
        assert run.saved[-1] == run.best == passes("a")
    tester.before = lambda question, plans: None
    assert Run(tester, tmp_path).go(passes("a"), passes("b")).best == passes("b")


@pytest.mark.parametrize("count", [1, 2])
def test_ctrl_c_right_after_a_trial_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Its plan is the best all the same, and the record of the trial is not taken back."""
    run = Run(MadeUpTester(factors={"a": 0.5}), tmp_path)
    record = run.evidence.finish

    def finish(trial: Trial) -> None:
        record(trial)
        if len(run.evidence.trials) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(run.evidence, "finish", finish)
    with pytest.raises(KeyboardInterrupt):
        run.go(passes("a"))
    assert run.saved[-1] == run.best == (DEFAULT, passes("a"))[count - 1]
    assert '"unfinished"' not in run.evidence.path.read_text(encoding="utf-8")


def test_a_restarted_search_goes_on_from_its_best(tmp_path: Path) -> None:
    factors = {"a": 0.8, "b": 0.9}
    first = Run(MadeUpTester(factors=factors), tmp_path).go(passes("a"))
    tester = MadeUpTester(factors=factors)
    again = Run(tester, tmp_path, "ab").go()
    assert again.saved[0] == first.best == passes("a")
    assert ("open", plan_key(DEFAULT)) not in tester.asked
    assert again.best == passes("a", "b")
    assert again.search.first is not None
    assert again.search.first.plan == DEFAULT
    keys = [trial.key for trial in again.evidence.trials]
    assert len(keys) == len(set(keys)) == 4


def test_every_trial_is_reported_once_with_its_number(tmp_path: Path) -> None:
    run = Run(MadeUpTester(), tmp_path, "ab").go()
    assert run.reported == run.evidence.trials
    assert [trial.number for trial in run.reported] == [0, 1, 2, 3]
