"""ONNX Runtime's telemetry is off, unless the application set its variable."""

import os

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
