"""Options of engines: impossible values are refused with the value and the bound."""

from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.engines.options import EngineOptions
from pipeline.errors import UsageError
from pipeline.targets import compilers


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"capabilities": ("8",)}, "found '8'"),
        ({"capabilities": ("sm_86",)}, "found 'sm_86'"),
        ({"capabilities": ("8.6", "8.6")}, "8.6 is named twice"),
        ({"buckets": (0, 64)}, "found 0"),
        ({"buckets": (128, 64)}, "found 64 after 128"),
        ({"buckets": (64, 64)}, "found 64 after 64"),
        ({"optimization_level": 6}, "between 0 and 5, found 6"),
        ({"optimization_level": -1}, "between 0 and 5, found -1"),
        ({"workspace_mb": 0}, "between 1 and 10000000, found 0"),
        ({"workspace_mb": 10**8}, "found 100000000"),
        ({"hardware_compatibility": "hopper"}, "found 'hopper'"),
    ],
)
def test_impossible_values_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        EngineOptions(**options)  # type: ignore[arg-type]
    assert said in caught.value.message
    assert caught.value.hint


def test_changed_options_are_listed_as_text() -> None:
    options = EngineOptions(capabilities=("8.6", "8.9"), detailed=False, workspace_mb=64)
    assert options.changed == {"capabilities": "8.6,8.9", "workspace_mb": "64", "detailed": "false"}
    assert EngineOptions().changed == {}


def test_the_timing_cache_does_not_change_the_digest() -> None:
    assert EngineOptions(timing_cache=Path("a")).to_json() == EngineOptions().to_json()
    assert EngineOptions(tf32=True).to_json() != EngineOptions().to_json()


@pytest.mark.parametrize("target", compilers())
def test_compilers_refuse_options_that_exist(target: str) -> None:
    names = {entry.name for entry in fields(EngineOptions)}
    assert set(compilers()[target].refused) <= names
