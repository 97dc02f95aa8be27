"""What a search refuses before it loads anything."""

import math
from pathlib import Path

import pytest

from pipeline.errors import MissingError, UsageError
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.tuning import proposals
from pipeline.tuning.tune import TuneResult, tune
from tests.integration.conftest import Listener

RECIPE = Recipe(name="absent", checkpoint="there is no such folder")


def search(
    folder: Path, *, minutes: float = 1.0, target: str = "onnxruntime-cpu", output: Path | None = None
) -> TuneResult:
    listener = Listener()
    try:
        return tune(
            RECIPE,
            VariantName(target=target, precision="int8"),
            minutes=minutes,
            output=output or folder / "plans.toml",
            artifacts=folder / "artifacts",
            seed=0,
            listener=listener,
        )
    finally:
        assert listener.worked == []
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_minutes(minutes: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"minutes must be above 0, found {minutes:g}"):
        search(tmp_path, minutes=minutes)


def test_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "installed", lambda package: None)
    with pytest.raises(MissingError, match=r"distilforge-pipeline\[tune\]"):
        search(tmp_path)


def test_an_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'onnxruntime-cpu'"):
        search(tmp_path, target="onnxruntime-cpi")


@pytest.mark.parametrize("output", ["", "/", "..", "/proc/nothing/plans.toml", "/dev/null/plans.toml"])
def test_an_output_that_cannot_be_written(output: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{Path(output)} cannot be written") as caught:
        search(tmp_path, output=Path(output))
    assert "--output" in caught.value.hint


def test_the_result_says_how_to_use_the_plan() -> None:
    result = TuneResult(
        path="out/plans.toml",
        evidence="",
        variant="onnxruntime-cpu:int8",
        plan={},
        differences="",
        ratio=None,
        interval=None,
        trials=1,
        not_settled=0,
        judged="",
    )
    assert 'plans = "out/plans.toml"' in result.usage
    assert "--plans out/plans.toml" in result.usage
