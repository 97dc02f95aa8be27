"""Which onnxruntime is used."""

import tomllib
from pathlib import Path

import onnxruntime
import pytest
from distilforge.errors import UnavailableError
from distilforge.onnxruntime import engine
from distilforge.versions import is_older

PROJECT = Path(__file__).parents[4] / "runtime" / "pyproject.toml"


@pytest.mark.parametrize(
    ("version", "older"),
    [
        ("1.20.0", True),
        ("1.21.0", True),
        ("1.9.9", True),
        ("1.21", True),
        ("1.21.1", False),
        ("1.22.0", False),
        ("1.23.0.dev20250101001", False),
        ("2.0", False),
    ],
)
def test_versions_before_the_oldest(version: str, older: bool) -> None:
    assert is_older(version, engine.OLDEST) == older


def test_the_package_asks_for_the_oldest_that_is_used() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert f"onnxruntime>={engine.OLDEST}" in project["dependencies"]


def test_an_old_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine.prepare()
    monkeypatch.setattr(onnxruntime, "__version__", "1.21.0")
    with pytest.raises(UnavailableError, match=r"onnxruntime 1\.21\.0 is too old") as refusal:
        engine.prepare()
    assert "onnxruntime>=1.21.1" in refusal.value.hint
