"""Standard output and error that are closed, are pipes without a reader, or take ASCII only."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from distilforge.release import resolve, verify

from pipeline.recipe.recipe import Recipe
from tests.integration.conftest import COMMAND, Release, prepare_export, write_recipe

ReleaseOf = Callable[[str], Release]


def shell(script: str, *arguments: str | Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Run `script` in bash; "$@" in it is `distilforge` with `arguments`."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, "bash", COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )


@pytest.fixture
def linked(release_of: ReleaseOf, tmp_path: Path) -> Path:
    """A release in a folder whose name has characters that ASCII lacks."""
    folder = tmp_path / "caf\u00e9 \U0001f600"
    folder.symlink_to(resolve(release_of("sequence_classification").folder))
    return folder


@pytest.mark.parametrize(
    ("script", "command"),
    [('"$@" >&-', "passes"), ('"$@" >&-', "heads"), ('"$@" 2>&-', "heads"), ('"$@" <&- >&- 2>&-', "heads")],
)
def test_closed_streams(script: str, command: str) -> None:
    done = shell(script, "list", command)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_build_with_closed_streams_writes_no_message_into_a_file(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    done = shell('"$@" <&- >&- 2>&-', "build", write_recipe(tiny, tmp_path), "--artifacts", artifacts)
    assert done.returncode == 0
    verify(resolve(artifacts / "tiny"))


@pytest.mark.parametrize("command", [("list", "passes"), ("list", "heads"), ("inspect",)])
def test_a_reader_that_ends_early(command: tuple[str, ...], linked: Path) -> None:
    arguments = (*command, linked) if command == ("inspect",) else command
    done = shell('"$@" | head -n 1', *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_build_goes_on_when_the_reader_of_its_messages_ends(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    recipe = write_recipe(tiny, tmp_path)
    done = shell('"$@" 2>&1 | head -n 1', "build", recipe, "--artifacts", artifacts)
    assert done.returncode == 0
    assert done.stdout.startswith("tiny export:")
    verify(resolve(artifacts / "tiny"))


def test_a_build_goes_on_when_the_disk_of_its_messages_is_full(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    prepare_export(tiny, artifacts)
    done = shell('"$@" 2> /dev/full', "build", write_recipe(tiny, tmp_path), "--artifacts", artifacts)
    assert done.returncode == 0
    assert done.stdout.startswith(str(artifacts / "tiny"))
    verify(resolve(artifacts / "tiny"))


@pytest.mark.parametrize(
    "arguments", [["list", "heads"], ["list", "packages"], ["--help"], ["package", "--help"]]
)
def test_a_full_disk_behind_stdout_is_one_clear_line(arguments: list[str]) -> None:
    done = shell('"$@" > /dev/full', *arguments)
    assert done.returncode == 5
    assert done.stderr.startswith(
        "error: standard output cannot be written: No space left on device\n  hint: "
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_encoding_lacks(encoding: str, linked: Path) -> None:
    done = shell('"$@"', "verify", linked, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    done = shell('"$@"', "inspect", linked, encoding=encoding)
    assert done.returncode == 0, done.stderr


def test_json_stays_json_in_ascii(tiny: Recipe, tmp_path: Path) -> None:
    artifacts = tmp_path / "caf\u00e9 \U0001f600"
    prepare_export(tiny, artifacts)
    recipe = write_recipe(tiny, tmp_path)
    done = shell('"$@"', "build", recipe, "--artifacts", artifacts, "--json", encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folder"].startswith(str(artifacts))
