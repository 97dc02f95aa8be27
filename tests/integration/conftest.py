"""Builds for the integration tests: tiny checkpoints, recipes with quick gates, shared exports, and commands."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline.build import BuildResult, build
from pipeline.cli.app import app
from pipeline.graph import exporter
from pipeline.recipe.recipe import Recipe
from pipeline.stages.export import export
from pipeline.stages.load import load
from pipeline.store.work import Stage, WorkFolder
from tests import exports
from tests.conftest import MakeCheckpoint
from validation.gates import Gates

COMMAND = str(Path(sys.executable).with_name("distilforge"))

# Exports of tiny checkpoints, for all test processes and for later runs; a work folder finds them by digests and can be
# shared. `make clean` removes it, and git ignores it.
SHARED_WORK = Path(__file__).parents[2] / ".pytest_cache" / "work"

# With 8 examples, the interval of the loss ends at 0.37. Timing opens processes, so only the tests about it do it.
QUICK = Gates(margin=0.5, latency="skip", threads=1)
QUICK_TOML = """
[gates]
margin = 0.5
latency = "skip"
threads = 1
"""

# One line for each head. The demo texts of validation would do, but there are hundreds.
LINES: dict[str, dict[str, object]] = {
    "features": {"text": "good film"},
    "masked_lm": {"text": "the [MASK] film was good", "targets": ["film"]},
    "multiple_choice": {"context": "make film", "choices": ["open the door", "the oven", "a"], "label": 1},
    "question_answering": {
        "question": "what was good",
        "context": "the film was good",
        "answers": [{"text": "film", "start": 4}],
    },
    "sequence_classification": {"text": "the film was good", "label": "LABEL_1"},
    "token_classification": {"tokens": ["the", "film"], "labels": ["LABEL_0", "LABEL_1"]},
}
# One for each of the 8 examples, which must differ
WORDS = ("film", "movie", "plot", "food", "hotel", "room", "river", "king")


def write_evaluation(head: str, folder: Path) -> Path:
    """Evaluation data for `head`, with the labels of a checkpoint that does not name any."""
    path = folder / f"{head}.jsonl"
    lines = [json.dumps(LINES[head]).replace("film", word) for word in WORDS]
    # Every other line has the other labels, so that random weights are neither right nor wrong under other names
    swapped = {"LABEL_0": "LABEL_1", "LABEL_1": "LABEL_0"}
    lines[1::2] = [re.sub("LABEL_[01]", lambda label: swapped[label.group()], line) for line in lines[1::2]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(*arguments: str | Path, code: int = 0) -> str:
    """stdout of `distilforge` with `arguments`, which exits with `code`; stderr if it fails."""
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert ran.exit_code == code, ran.output
    return ran.stdout if code == 0 else ran.stderr


class Listener:
    """Remembers the progress messages of a build."""

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
    """A published release and its sources."""

    checkpoint: Path
    recipe: Recipe
    artifacts: Path
    built: BuildResult

    @property
    def folder(self) -> Path:
        return self.built.folder


@pytest.fixture(autouse=True)
def _export_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds in this process take an earlier export of the same model and spans: an export takes seconds."""
    monkeypatch.setattr(exporter, "export", exports.export)


def shared_export(recipe: Recipe) -> Stage:
    """The export stage of `recipe`, which is done once for all tests; nothing may be written into its folder."""
    return export(WorkFolder(SHARED_WORK, Listener()), recipe, load(recipe))


def prepare_export(recipe: Recipe, artifacts: Path) -> None:
    """Put the export stage of `recipe` into `artifacts`, for a test about a later stage: an export takes seconds."""
    exported = shared_export(recipe).folder.parent
    shutil.copytree(exported, artifacts / ".work" / exported.parent.name / exported.name)


@pytest.fixture(scope="session")
def _releases() -> dict[str, Release]:
    return {}


@pytest.fixture
def release_of(
    _releases: dict[str, Release], make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Release]:
    """`release_of(head)`: a release of that head, built once for all tests; no test may change it."""

    def make(head: str) -> Release:
        if head not in _releases:
            root = tmp_path_factory.mktemp(head)
            # The weights of every process and run, so that the export is shared
            torch.manual_seed(20)
            checkpoint = make_checkpoint(head, folder=root / "checkpoint", n_layers=1)
            evaluation = write_evaluation(head, root)
            recipe = Recipe(name=head, checkpoint=str(checkpoint), evaluation=evaluation, gates=QUICK)
            prepare_export(recipe, root / "artifacts")
            built = build(recipe, root / "artifacts", Listener())
            _releases[head] = Release(
                checkpoint=checkpoint, recipe=recipe, artifacts=root / "artifacts", built=built
            )
        return _releases[head]

    return make


@pytest.fixture
def quick_defaults(monkeypatch: pytest.MonkeyPatch, release_of: Callable[[str], Release]) -> None:
    """Make the default gates quick, for commands that cannot be given any: builds of a checkpoint's folder.

    The release whose checkpoint is built again is made before, since it tells which of its gates are not the defaults.
    """
    release_of("sequence_classification")
    for name in ("margin", "latency", "threads"):
        monkeypatch.setitem(Gates.__init__.__kwdefaults__, name, getattr(QUICK, name))


@pytest.fixture
def tiny(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Recipe:
    """A recipe for a classifier of one layer, with quick gates; a test may change its checkpoint."""
    checkpoint = make_checkpoint("sequence_classification", folder=tmp_path / "checkpoint", n_layers=1)
    evaluation = write_evaluation("sequence_classification", tmp_path)
    return Recipe(name="tiny", checkpoint=str(checkpoint), evaluation=evaluation, gates=QUICK)


def write_recipe(recipe: Recipe, folder: Path) -> Path:
    """Write `recipe`, which must have quick gates, as a TOML file for the command line."""
    assert replace(recipe.gates, mode=QUICK.mode) == QUICK
    path = folder / f"{recipe.name}.toml"
    lines = [f"name = {json.dumps(recipe.name)}", f"checkpoint = {json.dumps(recipe.checkpoint)}"]
    if recipe.evaluation is not None:
        lines.append(f"evaluation = {json.dumps(str(recipe.evaluation))}")
    path.write_text("\n".join(lines) + "\n" + QUICK_TOML, encoding="utf-8")
    return path


def run_command(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `distilforge` with `arguments` in its own process."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )
