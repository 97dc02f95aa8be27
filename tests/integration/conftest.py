"""Builds for the integration tests: tiny checkpoints, recipes with quick gates, and the command line's processes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.build import Built, build
from pipeline.recipe.recipe import Recipe
from tests.conftest import MakeCheckpoint
from validation.gate import Gates

COMMAND = str(Path(sys.executable).with_name("distilforge"))

# Of 8 examples the interval reaches to a loss of 0.37. Timing opens processes, so that one test alone does it.
QUICK = Gates(margin=0.5, latency="skip", threads=1)
QUICK_TOML = """
[gates]
margin = 0.5
latency = "skip"
threads = 1
"""

# A line a head; validation's own demo texts would do, but hold hundreds
LINES: dict[str, dict[str, object]] = {
    "features": {"text": "good film"},
    "masked_lm": {"text": "the [MASK] was good", "targets": ["film"]},
    "multiple_choice": {"context": "make bread", "choices": ["open the door", "the oven", "a"], "label": 1},
    "question_answering": {
        "question": "what was good",
        "context": "the film was good",
        "answers": [{"text": "film", "start": 4}],
    },
    "sequence_classification": {"text": "the film was good", "label": "LABEL_1"},
    "token_classification": {"tokens": ["the", "film"], "labels": ["LABEL_0", "LABEL_1"]},
}


def write_evaluation(head: str, folder: Path) -> Path:
    """Evaluation data for `head`, of which the labels are those of a checkpoint that names none."""
    path = folder / f"{head}.jsonl"
    path.write_text(f"{json.dumps(LINES[head])}\n" * 8, encoding="utf-8")
    return path


class Listener:
    """Remembers what a build told it."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.reused: list[str] = []
        self.notes: list[str] = []

    def started(self, stage: str, doing: str) -> None:
        self.worked.append(stage)

    def finished(self, stage: str, result: str, seconds: float, *, reused: bool) -> None:
        if reused:
            self.reused.append(stage)

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A published release and what it was built from."""

    checkpoint: Path
    recipe: Recipe
    artifacts: Path
    built: Built

    @property
    def folder(self) -> Path:
        return self.built.folder


@pytest.fixture(scope="session")
def _releases() -> dict[str, Release]:
    return {}


@pytest.fixture
def release_of(
    _releases: dict[str, Release], make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Release]:
    """`release_of(head)`: a release of that head, built once for all tests, which must not change it."""

    def make(head: str) -> Release:
        if head not in _releases:
            root = tmp_path_factory.mktemp(head)
            checkpoint = make_checkpoint(head, folder=root / "checkpoint", n_layers=1)
            evaluation = write_evaluation(head, root)
            recipe = Recipe(name=head, checkpoint=str(checkpoint), evaluation=evaluation, gates=QUICK)
            built = build(recipe, root / "artifacts", Listener())
            _releases[head] = Release(
                checkpoint=checkpoint, recipe=recipe, artifacts=root / "artifacts", built=built
            )
        return _releases[head]

    return make


@pytest.fixture
def tiny(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Recipe:
    """A recipe for a classifier of one layer, with quick gates; its checkpoint may be changed."""
    checkpoint = make_checkpoint("sequence_classification", folder=tmp_path / "checkpoint", n_layers=1)
    evaluation = write_evaluation("sequence_classification", tmp_path)
    return Recipe(name="tiny", checkpoint=str(checkpoint), evaluation=evaluation, gates=QUICK)


def write_recipe(recipe: Recipe, folder: Path) -> Path:
    """`recipe`, which has quick gates, as a TOML file for the command line."""
    assert replace(recipe.gates, mode=QUICK.mode) == QUICK
    path = folder / f"{recipe.name}.toml"
    lines = [f"name = {json.dumps(recipe.name)}", f"checkpoint = {json.dumps(recipe.checkpoint)}"]
    if recipe.evaluation is not None:
        lines.append(f"evaluation = {json.dumps(str(recipe.evaluation))}")
    path.write_text("\n".join(lines) + "\n" + QUICK_TOML, encoding="utf-8")
    return path


def run_command(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`distilforge` with `arguments`, in a process of its own."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )
