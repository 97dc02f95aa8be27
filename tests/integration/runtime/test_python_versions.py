"""The runtime's source runs on the oldest Python that its distribution allows."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parents[3] / "runtime"
pytest.importorskip("vermin", reason="needs vermin, which the extra dev has")


def oldest() -> str:
    project = tomllib.loads((RUNTIME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["requires-python"].removeprefix(">="))


def violations(folder: Path) -> subprocess.CompletedProcess[str]:
    """What in `folder` needs a newer Python; vermin knows the version of each name in the standard library."""
    # The package cannot be run with -m
    vermin = [sys.executable, "-c", "from vermin import main; main()"]
    options = ["--quiet", "--no-tips", "--no-parse-comments", "--violations", f"--target={oldest()}-"]
    return subprocess.run(
        [*vermin, *options, folder], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_runtime_needs_nothing_newer() -> None:
    checked = violations(RUNTIME / "distilforge")
    assert checked.returncode == 0, checked.stdout


def test_what_is_newer_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text("from datetime import UTC\n")
    checked = violations(tmp_path)
    assert checked.returncode != 0
    assert "datetime.UTC" in checked.stdout
