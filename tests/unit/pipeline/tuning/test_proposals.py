"""The order of proposals, over made-up times: the default first, nothing twice, and good options again."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pipeline.recipe.plan import Plan
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.proposals import Proposals
from pipeline.tuning.space import Parameter, Space
from tests.integration.conftest import Listener

NAMES = ("a", "b", "c", "d", "e", "f", "g", "h", "i")


def space(names: Sequence[str]) -> Space:
    return Space(
        base=Plan(),
        parameters=tuple(
            Parameter(name=name, options={"without": Plan(), "with": Plan(passes=(name,))}) for name in names
        ),
    )


BEST, BAD = ("a", "b", "c", "d"), ("e", "g", "h", "i")


def outcome(plan: Plan, number: int) -> Trial:
    """Each name of BEST makes it faster, those of BAD slower; with f it is inaccurate, and a alone is impossible."""
    chosen = set(plan.passes)
    return Trial(
        number=number,
        plan=plan,
        params={name: "with" if name in chosen else "without" for name in NAMES},
        outcome="less accurate" if "f" in chosen else "impossible" if chosen == {"a"} else "not faster",
        reason="",
        value=None if chosen == {"a"} else 0.2 * len(chosen & set(BAD)) - 0.3 * len(chosen & set(BEST)),
    )


def tried(path: Path, most: int, seed: int = 0, names: Sequence[str] = NAMES) -> list[Trial]:
    """What was tried in one run of at most `most` trials."""
    evidence = Evidence(path, {}, Listener())
    before = len(evidence.trials)
    proposals = Proposals(space(names), evidence, seed)
    for plan, _ in islice(proposals.plans([Plan(), Plan(passes=("a", "b"))]), most):
        trial = outcome(plan, len(evidence.trials))
        evidence.finish(trial)
        proposals.learn(trial)
    return evidence.trials[before:]


def test_the_order(tmp_path: Path) -> None:
    trials = tried(tmp_path / "trials.jsonl", 12)
    assert [trial.plan.passes for trial in trials[:2]] == [(), ("a", "b")]
    assert {trial.plan.passes for trial in trials[2 : 2 + len(NAMES)]} == {(name,) for name in NAMES}


def test_nothing_twice_and_all_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    few = NAMES[:5]
    trials = [*tried(path, 8, names=few), *tried(path, 8, names=few), *tried(path, 1000, names=few)]
    keys = [trial.key for trial in trials]
    assert len(keys) == len(set(keys)) == 2 ** len(few)
    assert tried(path, 1000, names=few) == []


def test_the_sampler_learns_from_the_trials(tmp_path: Path) -> None:
    """The best of 512 plans is among the first 30 with every seed; drawn blindly, it would be once in twenty."""
    for seed in range(3):
        trials = tried(tmp_path / f"{seed}.jsonl", 30, seed)
        assert set(BEST) in [set(trial.plan.passes) for trial in trials]


def test_a_pass_at_fault_is_left_out_next(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "trials.jsonl", {}, Listener())
    proposals = Proposals(space(NAMES), evidence, 0)
    asked = proposals.plans([Plan(), Plan(passes=("a", "b", "c"))])
    _, (plan, params) = next(asked), next(asked)
    trial = replace(outcome(plan, 1), params=params, outcome="impossible", value=None, failed_pass="b")
    evidence.finish(trial)
    proposals.learn(trial)
    assert next(asked)[0].passes == ("a", "c")
    assert next(asked)[0].passes == ("a",)


def test_what_a_search_could_not_finish_is_proposed_again(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    evidence = Evidence(path, {}, Listener())
    first, _ = next(Proposals(space(NAMES), evidence, 0).plans([Plan()]))
    evidence.begin(first)
    again = Evidence(path, {}, Listener())
    assert next(Proposals(space(NAMES), again, 0).plans([Plan()]))[0] == first


def test_a_restarted_search_goes_on_with_the_neighbours_that_are_left(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    before, after = tried(path, 5), tried(path, 6)
    starts = 2
    neighbours = [trial.plan for trial in (*before, *after)][starts : starts + len(NAMES)]
    assert {plan.passes for plan in neighbours} == {(name,) for name in NAMES}


def test_trials_of_another_space_do_not_disturb(tmp_path: Path) -> None:
    """A pass that has been removed since, or an option, is in old evidence and can no longer be proposed."""
    path = tmp_path / "trials.jsonl"
    tried(path, 20)
    few = NAMES[:3]
    trials = tried(path, 1000, names=few)
    assert all(set(trial.plan.passes) <= {*few, "a", "b"} for trial in trials)
    known = {trial.key for trial in Evidence(path, {}, Listener()).trials}
    for plan, _ in Proposals(space(few), Evidence(path, {}, Listener()), 0).plans([Plan()]):
        raise AssertionError(f"{plan} is proposed after {len(known)} trials")


def test_a_repair_that_was_tried_before_is_not_proposed(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "trials.jsonl", {}, Listener())
    names = ("a", "b")
    proposals = Proposals(space(names), evidence, 0)
    keys = []
    for plan, params in proposals.plans([Plan(), Plan(passes=("a", "b"))]):
        keys.append(plan.passes)
        trial = replace(outcome(plan, len(keys)), params=params, outcome="impossible", value=None)
        trial = replace(trial, failed_pass="b" if "b" in plan.passes else "")
        evidence.finish(trial)
        proposals.learn(trial)
    # ("a",) is the repair of ("a", "b"), and () that of ("b",), which was the start
    assert keys == [(), ("a", "b"), ("a",), ("b",)]
