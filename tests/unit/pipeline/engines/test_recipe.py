"""The recipe's table [engine]."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.engines.options import EngineOptions
from pipeline.errors import UsageError
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.recipe import Recipe

FULL = """
[engine]
capabilities = ["8.6", "8.9"]
buckets = [64, 128]
tf32 = true
optimization_level = 4
workspace_mb = 512
hardware_compatibility = "ampere_plus"
version_compatible = true
weights_stripped = true
detailed = false
timing_cache = "kernels.cache"
"""


def read(folder: Path, text: str) -> Recipe:
    path = folder / "given.toml"
    path.write_text(f'checkpoint = "./x"\n{text}')
    return recipe_toml.read(path)


def test_every_option_is_read_and_the_cache_is_relative_to_the_recipe(tmp_path: Path) -> None:
    assert read(tmp_path, FULL).engine == EngineOptions(
        capabilities=("8.6", "8.9"),
        buckets=(64, 128),
        tf32=True,
        optimization_level=4,
        workspace_mb=512,
        hardware_compatibility="ampere_plus",
        version_compatible=True,
        weights_stripped=True,
        detailed=False,
        timing_cache=tmp_path / "kernels.cache",
    )


def test_without_the_table_the_defaults_hold(tmp_path: Path) -> None:
    assert read(tmp_path, "").engine == EngineOptions()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("capability = ['8.6']", "engine has the unknown field 'capability'"),
        ("capabilities = [8.6]", "engine.capabilities[0] must be text, found 8.6"),
        ("buckets = [64.5]", "engine.buckets[0] must be a whole number, found 64.5"),
        ("buckets = 64", "engine.buckets must be a list of whole numbers, found 64"),
        ("tf32 = 1", "engine.tf32 must be true or false, found 1"),
        ("optimization_level = true", "engine.optimization_level must be a whole number, found True"),
        (
            "hardware_compatibility = 'hopper'",
            "engine.hardware_compatibility must be 'none' or 'ampere_plus' or",
        ),
        ("buckets = [128, 64]", "engine: buckets must rise"),
    ],
)
def test_an_error_names_the_file_the_key_and_the_value(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, f"[engine]\n{text}")
    assert str(tmp_path / "given.toml") in caught.value.message
    assert said in caught.value.message


def test_options_change_the_digest_and_the_cache_does_not(tmp_path: Path) -> None:
    recipe = read(tmp_path, "")
    changed = replace(recipe, engine=EngineOptions(buckets=(64,)))
    cached = replace(recipe, engine=EngineOptions(timing_cache=tmp_path / "kernels.cache"))
    assert changed.digest != recipe.digest == cached.digest
