"""Which versions of openvino are used."""

import pytest
from distilforge.openvino.package import OLDEST
from distilforge.versions import is_older


@pytest.mark.parametrize(
    ("version", "older"),
    [(OLDEST, False), ("2026.4.1-22078-3a1ea0e", False), ("2027.0.0.dev1", False), ("2026.3.9", True)],
)
def test_older(version: str, older: bool) -> None:
    assert is_older(version, OLDEST) == older
