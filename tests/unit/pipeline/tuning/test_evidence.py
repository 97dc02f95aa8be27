"""What survives a killed process, what no longer counts, and files that are damaged."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from distilforge.manifest import Measurement, Steadiness, Verdict

from pipeline.errors import UsageError
from pipeline.recipe.plan import Plan
from pipeline.tuning.evidence import Evidence, Outcome, Trial
from tests.integration.conftest import Listener

CONDITIONS = {"machine": "abacus", "model": {"config.json": "1"}}
VERDICT = Verdict(
    check="c", observed=1.0, comparison="at most", limit=2.0, unit="u", reason="r", interval=(0.5, 1.0)
)
TRIAL = Trial(
    number=0,
    plan=Plan(passes=("a",), session={"session.dynamic_block_base": "4"}),
    params={"a": "with"},
    outcome="better",
    reason="faster",
    value=-0.5,
    rival="other",
    ratio=1.5,
    interval=(1.25, 1.75),
    examples=3,
    verdicts=(VERDICT,),
    measurements=(Measurement(subject="other", batch=1, tokens=8, seconds=(0.5, 0.25, 0.5), runs=(2, 1)),),
    steadiness=Steadiness(steady=True, reasons=(), rounds=2, apart=(1,), megahertz=(2000.0, 2100.0)),
    seconds=2.0,
)
IMPOSSIBLE = Trial(
    number=1, plan=Plan(passes=("b",)), params={}, outcome="impossible", reason="no such thing"
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
    assert again.is_settled(TRIAL.plan)
    assert not again.is_settled(Plan(passes=("c",)))


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
    assert not second.is_settled(TRIAL.plan)
    second.begin(TRIAL.plan)
    assert reopened(path)[0].is_settled(TRIAL.plan)


def test_a_trial_that_was_stopped_does_not_count_as_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    for _ in range(3):
        evidence, _ = reopened(path)
        evidence.begin(TRIAL.plan)
        evidence.abandon(TRIAL.plan)
    assert not reopened(path)[0].is_settled(TRIAL.plan)


def test_what_was_not_settled_is_tried_again_in_another_run(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    busy = replace(TRIAL, outcome="not settled")
    for _ in range(3):
        evidence, _ = reopened(path)
        assert not evidence.is_settled(busy.plan)
        evidence.begin(busy.plan)
        evidence.finish(busy)
        assert evidence.is_settled(busy.plan)
    evidence, _ = reopened(path)
    evidence.finish(TRIAL)
    assert reopened(path)[0].is_settled(TRIAL.plan)


def test_the_timing_of_a_trial() -> None:
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


def test_every_outcome_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    evidence, _ = reopened(path)
    for number, outcome in enumerate(get_args(Outcome)):
        evidence.finish(replace(TRIAL, number=number, outcome=outcome, plan=Plan(passes=(outcome,))))
    assert [trial.outcome for trial in reopened(path)[0].trials] == list(get_args(Outcome))


def test_whether_a_trial_was_accurate() -> None:
    assert TRIAL.accurate
    assert not replace(TRIAL, verdicts=()).accurate
    assert not replace(TRIAL, verdicts=(VERDICT, replace(VERDICT, observed=3.0))).accurate


def test_a_crash_during_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_text('{"event": "sea', encoding="utf-8")
    evidence, listener = reopened(path)
    assert evidence.trials == []
    assert listener.notes == []
    evidence.finish(TRIAL)
    assert reopened(path)[0].trials == [TRIAL]


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.touch()
    reopened(path)[0].finish(TRIAL)
    assert reopened(path)[0].trials == [TRIAL]


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rewrite(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_a_file_of_another_version_is_kept_under_another_name(version: object, tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    reopened(path)[0].finish(TRIAL)
    first, *others = events(path)
    rewrite(path, [{**first, "format": version}, *others])
    evidence, listener = reopened(path)
    assert evidence.trials == []
    assert "is now trials.jsonl.1" in listener.notes[0]
    assert events(tmp_path / "trials.jsonl.1")[1:] == others


def test_each_file_that_is_renamed_gets_a_free_name(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    for machine in ("one", "two", "three"):
        reopened(path, machine=machine)[0].finish(TRIAL)
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f"{path.name}.1", f"{path.name}.2"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "must be a JSON object, found list"),
        ("\xff", "codec can't decode"),
        ("[" * 100_000, "recursion"),
    ],
    ids=["cut", "list", "not UTF-8", "nested too deeply"],
)
def test_a_line_that_is_not_an_event_is_named(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    reopened(path)[0].finish(TRIAL)
    damaged = path.read_bytes() + line.encode("latin-1") + b"\n"
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=rf"trials\.jsonl:3 is damaged: .*{reason}") as caught:
        reopened(path)
    assert "--output" in caught.value.hint
    # Nothing was lost: a person may mend the line
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"outcome": "bettr"}, "outcome must be 'better' or .*found 'bettr'"),
        ({"event": "tria"}, "event must be 'begin' or .*found 'tria'"),
        ({"plan": {"pass": []}}, "unknown field 'pass'"),
        ({"plan": None}, "lacks the field 'plan'"),
        ({"seconds": "2"}, "seconds must be .*, found '2'"),
        ({"interval": [1.0]}, r"interval must be a list of 2 numbers, found \[1\.0\]"),
        ({"verdicts": [{}]}, "verdicts"),
        ({"measurements": [3]}, "measurements"),
        ({"params": {"a": 1}}, r"params\.a must be text, found 1"),
        ({"key": 3}, "key must be text, found 3"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_trial_that_is_damaged_is_named(change: dict[str, object], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    reopened(path)[0].finish(TRIAL)
    first, trial = events(path)
    rewrite(path, [first, trial | change])
    with pytest.raises(UsageError, match=rf"trials\.jsonl:2 is damaged: .*{reason}"):
        reopened(path)


def test_a_trial_that_lacks_a_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    reopened(path)[0].finish(TRIAL)
    first, trial = events(path)
    for name in ("number", "plan", "params", "outcome", "reason"):
        rewrite(path, [first, {key: value for key, value in trial.items() if key != name}])
        with pytest.raises(UsageError, match=f"lacks the field '{name}'"):
            reopened(path)
