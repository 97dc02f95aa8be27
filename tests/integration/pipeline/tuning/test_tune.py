"""Real searches over tiny models: what is saved, what is never best, and going on after being stopped."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.build import build
from pipeline.errors import MissingError, StageError, UsageError
from pipeline.recipe.plan import Plan, preset, to_toml
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.tuning import proposals
from pipeline.tuning.space import canonical
from pipeline.tuning.tune import Tuned, tune
from tests.integration.conftest import COMMAND, QUICK, Listener, run_command, write_recipe
from validation.gate import LIMITS, Limits

INT8 = VariantName(target="onnxruntime-cpu", precision="int8")
FP32 = VariantName(target="onnxruntime-cpu", precision="fp32")
MOST_RUNS = 6


@pytest.fixture
def tiny(tiny: Recipe) -> Recipe:
    return replace(tiny, variants=(INT8, FP32))


def searched(
    recipe: Recipe, folder: Path, variant: VariantName = INT8, *, minutes: float = 0.1
) -> tuple[Tuned, list[dict[str, object]], Listener]:
    """What a search found, the trials in its evidence, and what it told."""
    listener = Listener()
    found = tune(
        recipe,
        variant,
        minutes=minutes,
        output=folder / "plans.toml",
        artifacts=folder / "artifacts",
        seed=0,
        talk=listener,
    )
    return found, trials(Path(found.evidence)), listener


def searched_until(
    recipe: Recipe, folder: Path, *, trials: int
) -> tuple[Tuned, list[dict[str, object]], Listener]:
    """The same once there are so many trials and one met the gates; a busy machine has to go on, and for longer."""
    for run in range(1, MOST_RUNS + 1):
        with contextlib.suppress(StageError):
            found, tried, listener = searched(recipe, folder, minutes=0.15 * run)
            if len(tried) >= trials:
                return found, tried, listener
    raise AssertionError(f"fewer than {trials} trials, or none that meets the gates, in {MOST_RUNS} runs")


def trials(path: Path) -> list[dict[str, object]]:
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event["event"] == "trial"]


def test_a_search_saves_what_a_build_takes(tiny: Recipe, tmp_path: Path) -> None:
    # Any answers will do: on a CPU without VNNI 8-bit products saturate, and few plans or none would be accurate
    gates = replace(QUICK, limits={**LIMITS, "int8": Limits()})
    found, tried, listener = searched_until(replace(tiny, gates=gates), tmp_path, trials=5)
    default = canonical(preset(INT8.target, INT8.precision, "sequence_classification"))
    assert json.loads(json.dumps(default.to_json())) == tried[0]["plan"]
    assert len(tried) == found.trials > 3
    assert tried[0]["outcome"] == "better"
    assert {"over", "measurements", "verdicts", "date"} <= tried[0].keys()
    timed = [trial for trial in tried if trial["ratio"]]
    assert timed
    assert all(trial["measurements"] and trial["interval"] and trial["steadiness"] for trial in timed)
    assert all(measured["runs"] for trial in timed for measured in trial["measurements"])  # type: ignore[attr-defined]
    for trial in timed:
        rivals = {measured["subject"] for measured in trial["measurements"]}  # type: ignore[attr-defined]
        assert {trial["key"], trial["over"]} <= rivals
    impossible = [trial for trial in tried if trial["outcome"] == "impossible"]
    assert all(trial["reason"] for trial in impossible)
    assert any("best so far" in note for note in listener.notes)
    assert found.not_settled == sum(trial["outcome"] == "not settled" for trial in tried)
    saved = preset(INT8.target, INT8.precision, "sequence_classification", Path(found.path))
    assert json.loads(json.dumps(saved.to_json())) == json.loads(json.dumps(found.plan))
    # The other precisions are in the file as they were, since a recipe takes all of its plans from it
    assert preset(FP32.target, FP32.precision, "sequence_classification", Path(found.path)) == preset(
        FP32.target, FP32.precision, "sequence_classification"
    )
    built = build(replace(tiny, plans=Path(found.path)), tmp_path / "artifacts", Listener(), until="compile")
    assert built.new


def test_a_plan_that_loses_accuracy_is_never_best(tiny: Recipe, tmp_path: Path) -> None:
    """The default leaves all in float, and the gate lets nothing else through: every plan of the space is quantized."""
    exact = tmp_path / "exact.toml"
    kept = ("embeddings*", "transformer*", "pre_classifier", "classifier")
    default = Plan(scheme="int8_dynamic", exclude=tuple(sorted(kept)))
    exact.write_text(to_toml(default, "int8"), encoding="utf-8")
    strict = replace(QUICK, limits={**LIMITS, "int8": Limits(noise=1e-4)})
    found, tried, _ = searched(replace(tiny, plans=exact, gates=strict), tmp_path)
    assert found.plan == default.to_json()
    assert found.ratio == 1.0
    outcomes = {str(trial["outcome"]) for trial in tried[1:]}
    assert "less accurate" in outcomes
    assert outcomes <= {"less accurate", "impossible"}
    assert all("noise" in str(trial["reason"]) for trial in tried if trial["outcome"] == "less accurate")


def test_where_no_plan_meets_the_gates(tiny: Recipe, tmp_path: Path) -> None:
    strict = replace(QUICK, limits={**LIMITS, "int8": Limits(noise=1e-9)})
    with pytest.raises(StageError, match=r"none of .* plans for onnxruntime-cpu:int8 met the gates"):
        searched(replace(tiny, gates=strict), tmp_path, minutes=0.05)
    assert not (tmp_path / "plans.toml").exists()


def test_fp32_and_no_labels(tiny: Recipe, tmp_path: Path) -> None:
    found, tried, listener = searched(replace(tiny, evaluation=None), tmp_path, FP32, minutes=0.05)
    assert "without labels" in found.judged
    assert any("accuracy was not judged" in note for note in listener.notes)
    assert all(trial["plan"]["scheme"] == "" for trial in tried)  # type: ignore[index]


def test_minutes(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="minutes must be above 0, found 0"):
        searched(tiny, tmp_path, minutes=0)


def test_without_optuna(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "installed", lambda package: None)
    with pytest.raises(MissingError, match=r"distilforge-pipeline\[tune\]"):
        searched(tiny, tmp_path)


def stopped(arguments: list[str], path: Path, count: int, number: signal.Signals) -> tuple[int, str]:
    """The command's exit code and talk, sent the signal `number` once there are `count` trials in `path`."""
    with subprocess.Popen([COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
        waited_for(lambda: path.is_file() and len(trials(path)) >= count, process)
        process.send_signal(number)
        _, talk = process.communicate(timeout=60)
        return process.returncode, talk


def waited_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.05)


def test_going_on_after_being_stopped(tiny: Recipe, tmp_path: Path) -> None:
    recipe = write_recipe(tiny, tmp_path)
    output, artifacts = tmp_path / "plans.toml", tmp_path / "artifacts"
    evidence = tmp_path / "plans.onnxruntime-cpu.int8.trials.jsonl"
    arguments = ["tune", str(recipe), "--output", str(output), "--artifacts", str(artifacts), "--minutes"]

    code, talk = stopped([*arguments, "5"], evidence, 2, signal.SIGINT)
    assert code == 130
    assert "the best so far is in" in talk
    after_interrupt = output.read_text(encoding="utf-8")
    assert "[int8]" in after_interrupt

    first = len(trials(evidence))
    code, _ = stopped([*arguments, "5"], evidence, first + 2, signal.SIGKILL)
    assert code == -signal.SIGKILL
    before = evidence.read_text(encoding="utf-8")
    killed = before[: before.rfind("\n") + 1]

    last = run_command(*arguments, "0.1", "--json")
    assert last.returncode == 0, last.stderr
    found = json.loads(last.stdout)
    assert "going on after" in last.stderr
    assert found["path"] == str(output)
    assert evidence.read_text(encoding="utf-8").startswith(killed)
    tried = trials(evidence)
    assert len(tried) == found["trials"] > first + 2
    # What was not settled may be tried again
    keys = [trial["key"] for trial in tried if trial["outcome"] != "not settled"]
    assert len(keys) == len(set(keys))
