"""Which versions of openvino are used."""

import sys
from pathlib import Path

import pytest
from distilforge.openvino import package
from distilforge.openvino.package import OLDEST
from distilforge.versions import is_older


@pytest.mark.parametrize(
    ("version", "older"),
    [(OLDEST, False), ("2026.4.1-22078-3a1ea0e", False), ("2027.0.0.dev1", False), ("2026.3.9", True)],
)
def test_older(version: str, older: bool) -> None:
    assert is_older(version, OLDEST) == older


@pytest.mark.parametrize(
    ("folder", "clause"),
    [
        (
            "openvino-2026.3.1.dist-info",
            "openvino 2026.3.1 is too old: variants were validated with 2026.4.0",
        ),
        (f"openvino-{OLDEST}.dist-info", None),
        # Of another package, or made by something that leaves no such folder
        ("openvino_telemetry-2025.2.0.dist-info", None),
    ],
)
def test_the_version_is_read_without_an_import(
    folder: str, clause: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / folder).mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    obstacle = package.obstacle()
    assert obstacle is None if clause is None else str(obstacle).startswith(clause)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "is_installed", lambda: False)
    assert package.obstacle() == f"openvino is not installed; {package.INSTALL}"
