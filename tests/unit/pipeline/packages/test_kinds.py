"""What holds for every kind of package."""

from dataclasses import fields

import pytest

from pipeline.packages import kinds
from pipeline.packages.base import PackageOptions
from pipeline.targets import targets


@pytest.mark.parametrize("name", kinds.names())
def test_it_holds_variants_of_targets_that_exist(name: str) -> None:
    holds = kinds.find(name).holds
    assert holds
    for pattern in holds:
        target = pattern.partition(":")[0]
        assert target in (*targets.names(), "*"), pattern


@pytest.mark.parametrize("name", kinds.names())
def test_its_options_exist(name: str) -> None:
    assert set(kinds.find(name).options) <= {field.name for field in fields(PackageOptions)}


@pytest.mark.parametrize("name", kinds.names())
def test_its_help_is_a_sentence_of_one_line(name: str) -> None:
    text = kinds.find(name).help
    assert text.endswith(".")
    assert len(text) <= 120
