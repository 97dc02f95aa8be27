"""What the documentation says works: its links lead somewhere, its commands and its Python run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.recipe.recipe import Recipe
from tests.conftest import MakeCheckpoint
from tests.integration.conftest import prepare_export
from validation.gates import Gates

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKPOINT = "./my-distilbert"
DATA = "eval.jsonl"


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in listed]


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands(program: str) -> list[list[str]]:
    lines = "\n".join(fenced("sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith(program)]


@pytest.fixture
def workplace(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Path:
    """A folder with the checkpoint and the evaluation data that the README's commands name.

    The export is done, since other tests are about it.
    """
    checkpoint = make_checkpoint("sequence_classification", folder=tmp_path / CHECKPOINT, n_layers=1)
    prepare_export(Recipe(name="sentiment", checkpoint=str(checkpoint)), tmp_path / "artifacts")
    lines = [
        f'{{"text": "{text}", "label": "LABEL_{row % 2}"}}' for row, text in enumerate(["good", "bad"] * 20)
    ]
    (tmp_path / DATA).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    broken = [
        link for link in links if not re.match(r"[a-z]+:", link) and not (document.parent / link).exists()
    ]
    assert broken == []


def test_readme_names_make_targets_that_exist() -> None:
    named = [command[1] for command in commands("make") if len(command) > 1 and "=" not in command[1]]
    assert "test" in named
    for target in named:
        dry = subprocess.run(["make", "-n", target, "MODEL=x"], cwd=ROOT, capture_output=True, check=False)
        assert dry.returncode == 0, dry.stderr


def test_readme_commands_and_python_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The build times its variants, but need not settle how fast they are
    monkeypatch.setitem(Gates.__init__.__kwdefaults__, "seconds_per_shape", 0.1)
    monkeypatch.chdir(workplace)
    lines = commands("distilforge")
    assert lines
    assert lines[0][1] == "build"
    for line in lines:
        ran = CliRunner().invoke(app, line[1:])
        assert ran.exit_code == 0, ran.output
    (code,) = fenced("python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    labels = [line.split()[0] for line in done.stdout.splitlines()[:2]]
    assert set(labels) <= {"LABEL_0", "LABEL_1"}
    assert done.stdout.splitlines()[2] == "(1, 2)"
