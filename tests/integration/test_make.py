"""make takes paths with spaces."""

import shlex
import subprocess
from pathlib import Path

import pytest

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
    "target", ["all", "build", "results", "bench", "bench-gpu", "test", "lint", "format", "demo-train"]
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
