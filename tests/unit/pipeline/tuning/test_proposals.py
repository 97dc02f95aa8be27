"""The order of what is tried: nothing twice, the default first, and what was learnt is used, over a made-up time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pipeline.recipe.plan import Plan
from pipeline.tuning.evidence import Evidence, Trial
from pipeline.tuning.proposals import Proposals
from pipeline.tuning.space import Choice, Space
from tests.integration.conftest import Listener

NAMES = ("a", "b", "c", "d", "e", "f", "g", "h", "i")


def space(names: Sequence[str]) -> Space:
    return Space(
        base=Plan(),
        choices=tuple(
            Choice(name=name, options={"without": Plan(), "with": Plan(fusions=(name,))}) for name in names
        ),
    )


BEST, BAD = ("a", "b", "c", "d"), ("e", "g", "h", "i")


def outcome(plan: Plan, number: int) -> Trial:
    """Each name of BEST makes it faster, those of BAD slower; with f it is inaccurate, and a alone is impossible."""
    chosen = set(plan.fusions)
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
    for plan, _ in islice(proposals.all([Plan(), Plan(fusions=("a", "b"))]), most):
        trial = outcome(plan, len(evidence.trials))
        evidence.finish(trial)
        proposals.learn(trial)
    return evidence.trials[before:]


def test_the_order(tmp_path: Path) -> None:
    found = tried(tmp_path / "trials.jsonl", 12)
    assert [trial.plan.fusions for trial in found[:2]] == [(), ("a", "b")]
    assert {trial.plan.fusions for trial in found[2 : 2 + len(NAMES)]} == {(name,) for name in NAMES}


def test_nothing_twice_and_all_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    few = NAMES[:5]
    found = [*tried(path, 8, names=few), *tried(path, 8, names=few), *tried(path, 1000, names=few)]
    keys = [trial.key for trial in found]
    assert len(keys) == len(set(keys)) == 2 ** len(few)
    assert tried(path, 1000, names=few) == []


def test_what_was_learnt_is_used(tmp_path: Path) -> None:
    """The best of 512 plans is among the first 30 with every seed; drawn blindly, it would be once in twenty."""
    for seed in range(3):
        found = tried(tmp_path / f"{seed}.jsonl", 30, seed)
        assert set(BEST) in [set(trial.plan.fusions) for trial in found]


def test_a_pass_at_fault_is_left_out_next(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "trials.jsonl", {}, Listener())
    proposals = Proposals(space(NAMES), evidence, 0)
    asked = proposals.all([Plan(), Plan(fusions=("a", "b", "c"))])
    _, (plan, params) = next(asked), next(asked)
    trial = replace(outcome(plan, 1), params=params, outcome="impossible", value=None, fault="b")
    evidence.finish(trial)
    proposals.learn(trial)
    assert next(asked)[0].fusions == ("a", "c")
    assert next(asked)[0].fusions == ("a",)
