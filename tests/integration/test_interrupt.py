"""Ctrl-C: in each stage, and as a real signal to a real process."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from distilforge.release import resolve, verify
from typer.testing import CliRunner

from pipeline.build import build
from pipeline.cli import app, reporting
from pipeline.cli.display import Display
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.recipe import Recipe
from tests.conftest import save_checkpoint
from tests.integration.conftest import (
    COMMAND,
    QUICK,
    Listener,
    prepare_export,
    write_evaluation,
    write_recipe,
)

STAGES = ("export", "compile", "assemble", "tokens", "compare", "validate", "publish")
HEAD = "sequence_classification"

# Runs a module as `python -m` does, and presses Ctrl-C when another one is imported, and again when Python ends. Some
# signals come while a text is executed, as the classes of dataclasses are
PRESSING = """
import atexit, runpy, signal, sys

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == pressed:
            sys.meta_path.remove(self)
            exec("signal.raise_signal(signal.SIGINT)")

_, program, pressed, *sys.argv[1:] = sys.argv
sys.meta_path.insert(0, Press())
atexit.register(signal.raise_signal, signal.SIGINT)
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""
PROGRAMS = ("distilforge", "pipeline.cli")
# Imports `pressing`, during which Ctrl-C is pressed, and prints whether that package was imported
IMPORTING = """
import signal, sys
from distilforge.interruption import run_interruptible

def load():
    return command

def command():
    try:
        {importing}
        print("went on")
    except ImportError:
        print("went on")
    finally:
        print(sys.modules.get("pressing") is not None)

sys.exit(run_interruptible(load))
"""
PRESS = "import signal\nsignal.raise_signal(signal.SIGINT)\n"


class StopBeforeTiming(Listener):
    """Stops a build when its timing starts."""

    def started(self, stage: str, doing: str) -> None:
        super().started(stage, doing)
        if stage == "time":
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def timed_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose variants are timed; the folder `artifacts` beside it has every stage before the timing."""
    folder = tmp_path_factory.mktemp("timed")
    checkpoint = save_checkpoint(HEAD, folder / "checkpoint", n_layers=1)
    evaluation = write_evaluation(HEAD, folder)
    path = write_recipe(
        Recipe(name="tiny", checkpoint=str(checkpoint), evaluation=evaluation, gates=QUICK), folder
    )
    path.write_text(path.read_text().replace('latency = "skip"', 'latency = "judge"\nshapes = [[1, 8]]'))
    recipe = recipe_toml.read(path)
    prepare_export(recipe, folder / "artifacts")
    with pytest.raises(KeyboardInterrupt):
        build(recipe, folder / "artifacts", StopBeforeTiming())
    return path


def interrupt_at(stage: str) -> Callable[[], Display]:
    """A display during whose announcement of `stage` the user presses Ctrl-C."""

    class InterruptingDisplay(Display):
        def started(self, started: str, doing: str) -> None:
            super().started(started, doing)
            if started == stage:
                signal.raise_signal(signal.SIGINT)

    return InterruptingDisplay


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
        # Earlier stages are found, the stage that was interrupted last time is made, and this stage is not
        assert all(f"{earlier}: reused" in ran.stderr for earlier in STAGES[: max(0, position - 1)])
        assert all(f"{earlier}: done" in ran.stderr for earlier in STAGES[max(0, position - 1) : position])
        assert f"{stage}: done" not in ran.stderr
    ran = CliRunner().invoke(app.app, command)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[-1] == str(artifacts / "tiny" / resolve(artifacts / "tiny").name)
    verify(resolve(artifacts / "tiny"))


def press(program: str, pressed: str, *arguments: str) -> tuple[int, str, str]:
    """The exit code, the output and the messages of `program`, interrupted when it imports `pressed`."""
    command = [sys.executable, "-c", PRESSING, program, pressed, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_while_the_command_is_imported(program: str) -> None:
    assert press(program, "numpy", "run", "--help") == (130, "", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_second_time_while_python_ends(program: str) -> None:
    arguments = ("run", "release", "--input", "a.csv", "--output", "b.csv")
    code, output, messages = press(program, "distilforge.bulk.run", *arguments)
    assert (code, output) == (130, "")
    assert messages == "interrupted; run the same command again to continue\n"


def test_a_third_time_ends_what_python_would_wait_for() -> None:
    program = """
import atexit, signal, sys
from distilforge.interruption import run_interruptible

def command():
    # The first one, and a second one while the command cleans up
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.raise_signal(signal.SIGINT)

atexit.register(print, "waited")
atexit.register(signal.raise_signal, signal.SIGINT)
sys.exit(run_interruptible(lambda: command))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "stage", "number"),
    [
        ("exporting it to ONNX", "export", signal.SIGTERM),
        ("timing every variant", "time", signal.SIGINT),
        ("timing every variant", "time", signal.SIGHUP),
    ],
)
def test_a_signal_to_a_process(
    words: str, stage: str, number: signal.Signals, timed_recipe: Path, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    if stage == "time":
        shutil.copytree(timed_recipe.parent / "artifacts", artifacts)
    command = [COMMAND, "build", str(timed_recipe), "--artifacts", str(artifacts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        messages = ""
        for line in process.stderr:
            messages += line
            if words in line:
                break
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)  # into the work of the stage
        process.send_signal(number)
        messages += process.stderr.read()
        assert process.wait(timeout=60) == 130, messages
        assert process.stdout.read() == ""
    assert "interrupted; nothing half-done was left" in messages
    assert "Traceback" not in messages
    assert not (artifacts / "tiny").exists()
    assert leftovers(artifacts) == []
    assert not list((artifacts / ".work").glob(f"{stage}/*/stage.json"))
    assert commands_about(tmp_path) == []


@pytest.mark.parametrize(
    "importing",
    ["import pressing", "from outer import pressing", "import importlib; importlib.import_module('outer')"],
)
@pytest.mark.parametrize(
    ("body", "is_imported"),
    [
        # What is imported meets no exception, whatever it would make of one
        (
            "import signal\ntry: signal.raise_signal(signal.SIGINT)\nexcept BaseException: raise ValueError",
            True,
        ),
        # One that fails does not hide it
        (f"{PRESS}raise ImportError", False),
        # A second one ends an import that hangs
        (f"{PRESS}signal.raise_signal(signal.SIGINT)\nwhile True: pass", False),
    ],
)
def test_while_a_package_is_imported(importing: str, body: str, is_imported: bool, tmp_path: Path) -> None:
    (tmp_path / "pressing.py").write_text(body)
    (tmp_path / "outer.py").write_text("import pressing")
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTING.format(importing=importing)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, f"{is_imported}\n", "")


LOST = {
    "a reference": "a = C(); reference = weakref.ref(a, press); del a",
    "a generator": "a = generator(); next(a); del a",
    "an object in an object": "a = B(); del a",
}


@pytest.mark.parametrize("statements", LOST.values(), ids=LOST)
def test_while_an_object_is_removed(statements: str) -> None:
    # Python reports an exception there, and goes on
    program = f"""
import signal, sys, weakref
from distilforge.interruption import run_interruptible

def press(*_):
    signal.raise_signal(signal.SIGINT)

def generator():
    try:
        yield
    finally:
        press()

class A:
    def __del__(self):
        press()

class B:
    def __del__(self):
        a = A()
        del a

class C:
    pass

def command():
    {statements}
    print("went on")

sys.exit(run_interruptible(lambda: command))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_other_errors_of_objects_that_are_removed_are_reported() -> None:
    program = """
import sys
from distilforge.interruption import run_interruptible

class A:
    def __del__(self):
        raise ValueError("seven")

def command():
    a = A()
    del a
    print("went on")

sys.exit(run_interruptible(lambda: command))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "went on\n")
    assert "ValueError: seven" in ran.stderr


def test_while_safetensors_reads_a_file(tmp_path: Path) -> None:
    # It says that the file is damaged where what it calls of PyTorch raises an exception
    program = """
import signal, sys, torch
from distilforge.interruption import run_interruptible
from safetensors.torch import load_file, save_file

taken = []

def press(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "__getitem__":
        taken.append(frame)
    # The first one takes the numbers of the tensor out of the file, and the second one looks at their shape
    if len(taken) == 2:
        sys.setprofile(None)
        print("pressed")
        signal.raise_signal(signal.SIGINT)

def command():
    save_file({"a": torch.ones(3, 4)}, sys.argv[1])
    sys.setprofile(press)
    load_file(sys.argv[1])
    print("went on")

sys.exit(run_interruptible(lambda: command))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.safetensors")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "pressed\n", "")


def test_while_pytorch_is_imported() -> None:
    # PyTorch starts its part for several processes in C++, where an exception of Python ends the process
    program = """
import signal, sys
from distilforge.interruption import interrupt

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "torch.distributed":
            sys.meta_path.remove(self)
            signal.setitimer(signal.ITIMER_REAL, 0.002)

signal.signal(signal.SIGALRM, interrupt)
sys.meta_path.insert(0, Press())
try:
    import torch
    print("went on")
except KeyboardInterrupt:
    print(torch.ones(1).item())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1.0\n", "")


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
