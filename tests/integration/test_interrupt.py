"""Ctrl-C: in each stage, and as a real signal to a real process."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from distilforge.release import resolve, verify
from typer.testing import CliRunner

from pipeline.cli import app, reporting
from pipeline.cli.display import Display
from pipeline.recipe.recipe import Recipe
from tests.integration.conftest import COMMAND, write_recipe

STAGES = ("export", "compile", "assemble", "compare", "validate", "publish")


def interrupt_at(stage: str) -> Callable[[], Display]:
    """A display during whose announcement of `stage` the user presses Ctrl-C."""

    class Interrupting(Display):
        def started(self, started: str, doing: str) -> None:
            super().started(started, doing)
            if started == stage:
                signal.raise_signal(signal.SIGINT)

    return Interrupting


def leftovers(artifacts: Path) -> list[Path]:
    return [path for path in artifacts.rglob("*") if path.name.endswith((".aside", ".old"))]


def test_in_each_stage(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = tmp_path / "artifacts"
    command = ["build", str(write_recipe(tiny, tmp_path)), "--artifacts", str(artifacts)]
    for position, stage in enumerate(STAGES):
        with monkeypatch.context() as patch:
            patch.setattr(reporting, "Display", interrupt_at(stage))
            ran = CliRunner().invoke(app.app, command)
        assert ran.exit_code == 130
        assert ran.stdout == ""
        assert "interrupted; nothing half-done was left" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert not (artifacts / "tiny").exists()
        assert leftovers(artifacts) == []
        # What was whole before is found, what was interrupted last time is made, and this stage is not.
        assert all(f"{earlier}: nothing to do" in ran.stderr for earlier in STAGES[: max(0, position - 1)])
        assert all(f"{earlier}: done" in ran.stderr for earlier in STAGES[max(0, position - 1) : position])
        assert f"{stage}: done" not in ran.stderr
    ran = CliRunner().invoke(app.app, command)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[-1] == str(artifacts / "tiny" / resolve(artifacts / "tiny").name)
    verify(resolve(artifacts / "tiny"))


@pytest.mark.parametrize(
    ("words", "stage", "number"),
    [
        ("exporting it to ONNX", "export", signal.SIGINT),
        ("timing every variant", "time", signal.SIGINT),
        ("timing every variant", "time", signal.SIGTERM),
        ("timing every variant", "time", signal.SIGHUP),
    ],
)
def test_a_signal_to_a_process(
    words: str, stage: str, number: signal.Signals, tiny: Recipe, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    recipe = write_recipe(tiny, tmp_path)
    recipe.write_text(recipe.read_text().replace('latency = "skip"', 'latency = "judge"\nshapes = [[1, 8]]'))
    command = [COMMAND, "build", str(recipe), "--artifacts", str(artifacts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if words in line:
                break
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)  # into the stage's work
        process.send_signal(number)
        said += process.stderr.read()
        assert process.wait(timeout=60) == 130, said
        assert process.stdout.read() == ""
    assert "interrupted; nothing half-done was left" in said
    assert "Traceback" not in said
    assert not (artifacts / "tiny").exists()
    assert leftovers(artifacts) == []
    assert not list((artifacts / ".work").glob(f"{stage}/*/stage.json"))
    assert commands_about(tmp_path) == []


def commands_about(folder: Path) -> list[str]:
    """The processes whose arguments name `folder`."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace")
        except OSError:
            continue  # it ended in between
        if str(folder) in command:
            commands.append(command)
    return commands
