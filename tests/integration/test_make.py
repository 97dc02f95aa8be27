"""make takes paths with spaces."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from distilforge.cuda.driver import survey

ROOT = Path(__file__).parents[2]
# A path with a space for each variable
PATHS = {
    "VENV": "/nowhere/my env",
    "ARTIFACTS": "/nowhere/my artifacts",
    "MODEL": "/nowhere/my model",
    "DATA": "/nowhere/my data.jsonl",
    "PYTHON": "/nowhere/my python",
}
PROGRAM = f"{PATHS['VENV']}/bin/distilforge"


def commands(target: str) -> list[list[str]]:
    """The words of every command that `make target` would run."""
    arguments = [f"{name}={path}" for name, path in PATHS.items()]
    printed = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [shlex.split(line) for line in printed.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize(
    "target",
    ["all", "build", "results", "bench", "bench-gpu", "test", "test-ray", "lint", "format", "demo-train"],
)
def test_no_path_is_split(target: str) -> None:
    words = [word for command in commands(target) for word in command]
    halves = {half for path in PATHS.values() for half in path.split(" ")}
    assert halves.isdisjoint(words)
    assert any(word.startswith(PATHS["VENV"]) for word in words)


def test_the_words_of_a_build() -> None:
    assert commands("build")[-1] == [
        PROGRAM, "build", PATHS["MODEL"], "--artifacts", PATHS["ARTIFACTS"], "--data", PATHS["DATA"]
    ]  # fmt: skip


def test_neither_make_nor_the_shell_reads_what_is_given(tmp_path: Path) -> None:
    odd = f'it\'s ";touch {tmp_path}/made;" `id` $(id) a$b'
    printed = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "build", f"MODEL={odd}", f"NAME={odd}", f"DATA={odd}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = shlex.split(printed.splitlines()[-1])
    assert words[1:] == ["build", odd, "--artifacts", "artifacts", "--name", odd, "--data", odd]


def test_the_environment_is_made_once(tmp_path: Path) -> None:
    environment = tmp_path / "my env"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").touch()
    (environment / ".installed").touch()
    printed = subprocess.run(
        ["make", "--dry-run", "setup", f"VENV={environment}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "venv" not in printed.replace(str(tmp_path), "")
    assert "pip" not in printed


@pytest.mark.skipif(not isinstance(survey(), str), reason="this machine has an NVIDIA GPU")
@pytest.mark.parametrize("target", ["test-gpu", "bench-gpu"])
def test_without_a_gpu_it_ends_with_one_line_before_anything_is_installed(
    target: str, tmp_path: Path
) -> None:
    made = subprocess.run(
        ["make", "--no-print-directory", target, f"VENV={tmp_path / 'env'}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode != 0
    assert made.stdout == ""
    line, from_make = made.stderr.splitlines()
    assert line.startswith(f"make {target} needs an NVIDIA GPU: this machine")
    # make[1] where make runs the tests
    assert re.match(r"make(\[\d+\])?: \*\*\* ", from_make)
    assert not (tmp_path / "env").exists()


# The file of each: a test that runs, one that is skipped beside it, and one whose kind is skipped entirely
RUNS = "def test_runs(): pass"
SKIPPED = "import pytest\n\n@pytest.mark.skip(reason='it is not here')\ndef test_is_skipped(): pass"


@pytest.mark.parametrize(
    ("other", "options", "code"),
    [
        (RUNS, (), 0),
        (f"{SKIPPED}\n\n{RUNS}", (), 0),
        (SKIPPED, (), 1),
        (SKIPPED, ("--may-skip", "other"), 0),
    ],
)
def test_a_kind_that_is_skipped_entirely_fails(
    tmp_path: Path, other: str, options: tuple[str, ...], code: int
) -> None:
    (tmp_path / "test_first.py").write_text(RUNS)
    (tmp_path / "test_other.py").write_text(other)
    command = [sys.executable, "-m", "pytest", str(tmp_path), "--noconftest", "-p", "tests.gpu_run.plugin"]
    run = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout
    assert "kind   passed  failed  skipped  why skipped" in run.stdout
    assert ("nothing of 'other' ran" in run.stdout) == (code == 1)
    if SKIPPED in other:
        assert "it is not here" in run.stdout
