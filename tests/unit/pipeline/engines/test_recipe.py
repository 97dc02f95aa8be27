"""The recipe's table [engine] and the command line's options."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cli import options
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
        ("capability = ['8.6']", "unknown key 'capability'"),
        ("capabilities = [8.6]", "'capabilities' must be a list of texts"),
        ("buckets = [64.5]", "'buckets' must be a list of whole numbers"),
        ("buckets = 64", "'buckets' must be a list of whole numbers"),
        ("tf32 = 1", "'tf32' must be true or false"),
        ("buckets = [128, 64]", "buckets must rise"),
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


def test_the_command_line_overrides_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "given.toml"
    path.write_text(f'checkpoint = "./x"\n{FULL}')
    recipe = options.recipe(
        str(path),
        name=None,
        head=None,
        variants=["tensorrt-rtx:fp16"],
        data=None,
        calibration=None,
        plans=None,
        exclude=None,
        gate=None,
        capabilities=["12.0"],
        buckets=None,
        timing_cache=None,
    )
    assert recipe.engine == replace(recipe_toml.read(path).engine, capabilities=("12.0",))
