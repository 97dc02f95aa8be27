"""ONNX Runtime's telemetry is off, unless the application set its variable."""

import os
import sys
from types import ModuleType

import pytest
from distilforge import telemetry


def test_it_is_off_once_the_package_is_imported() -> None:
    # tests/conftest.py imports distilforge
    assert os.environ[telemetry.VARIABLE]


def test_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # setenv first, so that the variable is restored
    monkeypatch.setenv(telemetry.VARIABLE, "0")
    monkeypatch.delenv(telemetry.VARIABLE)
    telemetry.turn_off()
    assert os.environ[telemetry.VARIABLE] == "1"


def test_the_application_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(telemetry.VARIABLE, "0")
    telemetry.turn_off()
    assert os.environ[telemetry.VARIABLE] == "0"


@pytest.mark.parametrize("imported", [True, False])
def test_an_earlier_import_is_told(
    imported: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(telemetry.VARIABLE, "0")
    monkeypatch.delenv(telemetry.VARIABLE)
    if imported:
        monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    else:
        monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    telemetry.turn_off()
    assert ("import distilforge first" in caplog.text) == imported
