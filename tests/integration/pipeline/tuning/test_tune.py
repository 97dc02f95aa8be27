"""Real searches over tiny models: what is saved, what is never best, and going on after being stopped.

The spaces are small, so that a search ends once it has tried every plan and not when its time is up.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from pipeline.build import build
from pipeline.cli.app import app
from pipeline.errors import StageError, UsageError
from pipeline.recipe.plan import Plan, preset, to_toml
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.tuning import duel
from pipeline.tuning import space as spaces
from pipeline.tuning.space import Space, canonical
from pipeline.tuning.tune import TuneResult, tune
from tests.integration.conftest import COMMAND, QUICK, Listener, prepare_export, write_recipe
from validation.gates import LIMITS, Limits

HEAD = "sequence_classification"
INT8 = VariantName(target="onnxruntime-cpu", precision="int8")
FP32 = VariantName(target="onnxruntime-cpu", precision="fp32")
# One shape and the fewest rounds: these tests are about what is done with a timing
QUICKLY_TIMED = replace(QUICK, shapes=((1, 8),), seconds_per_shape=0.1)
QUICKLY_TIMED_TOML = "shapes = [[1, 8]]\nseconds_per_shape = 0.1\n"


@pytest.fixture
def tiny(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The tiny recipe with two variants and short timings; its export is done in `artifacts`."""
    monkeypatch.setattr(duel, "SCREENING_SECONDS", 0.1)
    prepare_export(tiny, tmp_path / "artifacts")
    # Texts of its own, since the demo's are hundreds
    return replace(tiny, variants=(INT8, FP32), gates=QUICKLY_TIMED, calibration=tiny.evaluation)


def keep_parameters(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Leave only the parameters `names` in the space of a search."""

    def small_space(*arguments: object) -> Space:
        whole = spaces.space(*arguments)  # type: ignore[arg-type]
        kept = tuple(parameter for parameter in whole.parameters if parameter.name in names)
        assert len(kept) == len(names)
        return replace(whole, parameters=kept)

    monkeypatch.setattr("pipeline.tuning.tune.space", small_space)


def searched(
    recipe: Recipe, folder: Path, variant: VariantName = INT8
) -> tuple[TuneResult, list[dict[str, object]], Listener]:
    """The result of a search, the trials in its evidence, and its messages."""
    listener = Listener()
    result = tune(
        recipe,
        variant,
        minutes=10,
        output=folder / "plans.toml",
        artifacts=folder / "artifacts",
        seed=0,
        listener=listener,
    )
    return result, trials(Path(result.evidence)), listener


def trials(path: Path) -> list[dict[str, object]]:
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event["event"] == "trial"]


def test_a_search_saves_what_a_build_takes(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_parameters(monkeypatch, "spinning")
    # Any answers will do: on a CPU without VNNI 8-bit products saturate, and few plans or none would be accurate
    gates = replace(QUICKLY_TIMED, limits={**LIMITS, "int8": Limits()})
    result, tried, listener = searched(replace(tiny, gates=gates), tmp_path)
    default = canonical(preset(INT8.target, INT8.precision, HEAD))
    assert json.loads(json.dumps(default.to_json())) == tried[0]["plan"]
    assert len(tried) == result.trials > 1
    assert tried[0]["outcome"] == "better"
    assert {"rival", "measurements", "verdicts", "date"} <= tried[0].keys()
    timed = [trial for trial in tried if trial["ratio"]]
    assert timed
    assert all(trial["measurements"] and trial["interval"] and trial["steadiness"] for trial in timed)
    assert all(measured["runs"] for trial in timed for measured in trial["measurements"])  # type: ignore[attr-defined]
    for trial in timed:
        subjects = {measured["subject"] for measured in trial["measurements"]}  # type: ignore[attr-defined]
        assert {trial["key"], trial["rival"]} <= subjects
    impossible = [trial for trial in tried if trial["outcome"] == "impossible"]
    assert all(trial["reason"] for trial in impossible)
    assert any("best so far" in note for note in listener.notes)
    assert result.not_settled == sum(trial["outcome"] == "not settled" for trial in tried)
    saved = preset(INT8.target, INT8.precision, HEAD, Path(result.path))
    assert json.loads(json.dumps(saved.to_json())) == json.loads(json.dumps(result.plan))
    # The other precisions are in the file as they were, since a recipe takes all of its plans from it
    assert preset(FP32.target, FP32.precision, HEAD, Path(result.path)) == preset(
        FP32.target, FP32.precision, HEAD
    )
    built = build(replace(tiny, plans=Path(result.path)), tmp_path / "artifacts", Listener(), until="compile")
    assert built.new


def test_a_plan_that_loses_accuracy_is_never_best(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default leaves all in float, and the gate lets nothing else through: every plan of the space is quantized."""
    keep_parameters(monkeypatch, "scheme", "integer_matmul")
    exact = tmp_path / "exact.toml"
    kept = ("embeddings*", "transformer*", "pre_classifier", "classifier")
    default = Plan(scheme="int8_dynamic", exclude=tuple(sorted(kept)))
    exact.write_text(to_toml(default, "int8"), encoding="utf-8")
    strict = replace(QUICKLY_TIMED, limits={**LIMITS, "int8": Limits(noise=1e-4)})
    result, tried, _ = searched(replace(tiny, plans=exact, gates=strict), tmp_path)
    assert result.plan == default.to_json()
    assert result.ratio == 1.0
    outcomes = {str(trial["outcome"]) for trial in tried[1:]}
    assert "less accurate" in outcomes
    assert outcomes <= {"less accurate", "impossible"}
    assert all("noise" in str(trial["reason"]) for trial in tried if trial["outcome"] == "less accurate")


def test_where_no_plan_meets_the_gates(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_parameters(monkeypatch, "spinning")
    strict = replace(QUICKLY_TIMED, limits={**LIMITS, "int8": Limits(noise=1e-9)})
    with pytest.raises(StageError, match=r"none of .* plans for onnxruntime-cpu:int8 met the gates"):
        searched(replace(tiny, gates=strict), tmp_path)
    assert not (tmp_path / "plans.toml").exists()


def test_fp32_and_no_labels(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_parameters(monkeypatch)  # the demo's texts are many, so only the plans that are not drawn are tried
    result, tried, listener = searched(replace(tiny, evaluation=None), tmp_path, FP32)
    assert "without labels" in result.judged
    assert any("accuracy was not judged" in note for note in listener.notes)
    assert all(trial["plan"]["scheme"] == "" for trial in tried)  # type: ignore[index]


def test_two_searches_do_not_write_the_same_evidence(tiny: Recipe, tmp_path: Path) -> None:
    evidence = tmp_path / "plans.onnxruntime-cpu.fp32.trials.jsonl"
    with (
        FileLock(f"{evidence}.lock"),
        pytest.raises(UsageError, match=f"another search is writing {evidence}") as caught,
    ):
        searched(tiny, tmp_path, FP32)
    assert "--output" in caught.value.hint
    assert not evidence.exists()


def stopped(arguments: list[str], path: Path, count: int, number: signal.Signals) -> tuple[int, str]:
    """The exit code and messages of the command, which gets the signal `number` once `path` has `count` trials."""
    with subprocess.Popen([COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: path.is_file() and len(trials(path)) >= count, process)
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
        return process.returncode, messages


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.05)


def test_going_on_after_being_stopped(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(replace(tiny, gates=QUICK), tmp_path)
    # [gates] is the last table of the file
    recipe.write_text(recipe.read_text(encoding="utf-8") + QUICKLY_TIMED_TOML, encoding="utf-8")
    output, artifacts = tmp_path / "plans.toml", tmp_path / "artifacts"
    evidence = tmp_path / "plans.onnxruntime-cpu.fp32.trials.jsonl"
    arguments = ["tune", str(recipe), "--precision", "fp32", "--minutes", "10"]
    arguments += ["--output", str(output), "--artifacts", str(artifacts)]

    code, messages = stopped(arguments, evidence, 1, signal.SIGINT)
    assert code == 130
    assert "the best plan so far is in" in messages
    assert "[fp32]" in output.read_text(encoding="utf-8")

    first = len(trials(evidence))
    code, _ = stopped(arguments, evidence, first + 1, signal.SIGKILL)
    assert code == -signal.SIGKILL
    killed = evidence.read_text(encoding="utf-8")
    complete_lines = killed[: killed.rfind("\n") + 1]

    # The same space with one parameter, so that the search comes to its end
    keep_parameters(monkeypatch, "spinning")
    last = CliRunner().invoke(app, [*arguments, "--json"])
    assert last.exit_code == 0, last.output
    result = json.loads(last.stdout)
    assert "going on after" in last.stderr
    assert result["path"] == str(output)
    assert evidence.read_text(encoding="utf-8").startswith(complete_lines)
    tried = trials(evidence)
    assert len(tried) == result["trials"] > first + 1
    # A plan that was not settled may be tried again
    keys = [trial["key"] for trial in tried if trial["outcome"] != "not settled"]
    assert len(keys) == len(set(keys))
