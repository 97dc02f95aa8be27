"""What survives a process that is killed, and what no longer counts."""

from dataclasses import replace
from pathlib import Path

from distilforge.manifest import Measurement, Steadiness, Verdict

from pipeline.recipe.plan import Plan
from pipeline.tuning.evidence import Evidence, Trial
from tests.integration.conftest import Listener

CONDITIONS = {"machine": "abacus", "model": {"config.json": "1"}}
VERDICT = Verdict(
    check="c", observed=1.0, comparison="at most", limit=2.0, unit="u", reason="r", interval=(0.5, 1.0)
)
TRIAL = Trial(
    number=0,
    plan=Plan(fusions=("a",), session={"session.x": "1"}),
    params={"a": "with"},
    outcome="better",
    reason="faster",
    value=-0.5,
    over="other",
    ratio=1.5,
    interval=(1.25, 1.75),
    examples=3,
    verdicts=(VERDICT,),
    measurements=(Measurement(subject="other", batch=1, tokens=8, seconds=(0.5, 0.25, 0.5), runs=(2, 1)),),
    steadiness=Steadiness(steady=True, reasons=(), rounds=2, apart=(1,), megahertz=(2000.0, 2100.0)),
    seconds=2.0,
)
IMPOSSIBLE = Trial(
    number=1, plan=Plan(fusions=("b",)), params={}, outcome="impossible", reason="no such thing"
)


def reopened(path: Path, **conditions: object) -> tuple[Evidence, Listener]:
    listener = Listener()
    return Evidence(path, CONDITIONS | conditions, listener), listener


def test_trials_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    evidence, _ = reopened(path)
    for trial in (TRIAL, IMPOSSIBLE):
        evidence.begin(trial.plan)
        evidence.finish(trial)
    again, listener = reopened(path)
    assert again.trials == [TRIAL, IMPOSSIBLE]
    assert listener.notes == []
    assert again.settled(TRIAL.plan)
    assert not again.settled(Plan(fusions=("c",)))


def test_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    evidence, _ = reopened(path)
    evidence.finish(TRIAL)
    whole = path.read_bytes()
    evidence.finish(IMPOSSIBLE)
    path.write_bytes(path.read_bytes()[:-5])
    again, _ = reopened(path)
    assert again.trials == [TRIAL]
    assert path.read_bytes() == whole
    again.finish(IMPOSSIBLE)
    assert reopened(path)[0].trials == [TRIAL, IMPOSSIBLE]


def test_a_plan_that_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    reopened(path)[0].begin(TRIAL.plan)
    second, _ = reopened(path)
    assert not second.settled(TRIAL.plan)
    second.begin(TRIAL.plan)
    assert reopened(path)[0].settled(TRIAL.plan)


def test_being_stopped_is_no_fault_of_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    for _ in range(3):
        evidence, _ = reopened(path)
        evidence.begin(TRIAL.plan)
        evidence.unfinished(TRIAL.plan)
    assert not reopened(path)[0].settled(TRIAL.plan)


def test_what_was_not_settled_is_tried_again_in_another_run(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    busy = replace(TRIAL, outcome="not settled")
    for _ in range(3):
        evidence, _ = reopened(path)
        assert not evidence.settled(busy.plan)
        evidence.begin(busy.plan)
        evidence.finish(busy)
        assert evidence.settled(busy.plan)
    evidence, _ = reopened(path)
    evidence.finish(TRIAL)
    assert reopened(path)[0].settled(TRIAL.plan)


def test_a_trial_tells_what_it_measured() -> None:
    assert IMPOSSIBLE.timing is None
    assert TRIAL.timing is not None
    assert TRIAL.timing.measurements == TRIAL.measurements
    assert TRIAL.timing.steadiness == TRIAL.steadiness


def test_other_conditions_start_afresh(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    reopened(path)[0].finish(TRIAL)
    other, listener = reopened(path, machine="another")
    assert other.trials == []
    assert "is now trials.jsonl.1" in listener.notes[0]
    assert reopened(tmp_path / "trials.jsonl.1")[0].trials == [TRIAL]
