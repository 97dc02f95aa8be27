"""The options of the building commands: what they are called, and the recipe that they give."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import typer
from distilforge.manifest import Span
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.cli.build_options import (
    BuildArguments,
    EngineArguments,
    GateArguments,
    naming_flags,
    recipe,
)
from pipeline.cli.signature import flag, with_options
from pipeline.engines.build import check
from pipeline.engines.options import EngineOptions
from pipeline.errors import UsageError
from pipeline.recipe import toml as recipe_toml
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.targets.onnxruntime_rtx import ONNXRUNTIME_RTX
from validation.gates import Gates

RECIPE = """
checkpoint = "./x"
variants = ["tensorrt-rtx:fp16"]
exclude = ["classifier"]

[engine]
buckets = [64, 128]

[gates]
mode = "report"
latency = "skip"
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "given.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "replaced"),
    [(BuildArguments, Recipe), (EngineArguments, EngineOptions), (GateArguments, Gates)],
)
def test_an_option_has_the_name_of_the_field_that_it_replaces(arguments: type, replaced: type) -> None:
    assert {entry.name for entry in fields(arguments)} <= {entry.name for entry in fields(replaced)}


@pytest.mark.parametrize("command", ["build", "export", "compile", "validate", "publish"])
def test_every_building_command_has_every_option(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    for arguments in (BuildArguments, EngineArguments, GateArguments):
        for entry in fields(arguments):
            if entry.name not in ("engine", "gates"):
                assert f"{flag(arguments, entry.name)} " in shown


def test_without_options_the_recipe_is_as_it_is_written(source: str) -> None:
    assert recipe(source, BuildArguments()) == recipe_toml.read(Path(source))


def test_each_option_replaces_what_it_names(source: str, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("")
    arguments = BuildArguments(
        name="other",
        head="features",
        variants=["tensorrt-rtx:int8", "onnxruntime-cpu:fp32"],
        evaluation=data,
        calibration=data,
        plans=data,
        engine=EngineArguments(capabilities=["12.0"], buckets=[32], timing_cache=tmp_path / "kernels"),
        gates=GateArguments(mode="enforce", latency="judge"),
    )
    written = recipe_toml.read(Path(source))
    assert recipe(source, arguments) == replace(
        written,
        name="other",
        head="features",
        variants=(
            VariantName(target="tensorrt-rtx", precision="int8"),
            VariantName(target="onnxruntime-cpu", precision="fp32"),
        ),
        evaluation=data,
        calibration=data,
        plans=data,
        engine=EngineOptions(capabilities=("12.0",), buckets=(32,), timing_cache=tmp_path / "kernels"),
        gates=replace(written.gates, mode="enforce", latency="judge"),
    )


def test_modules_to_exclude_are_added(source: str) -> None:
    arguments = BuildArguments(exclude=["pre_classifier", "classifier"])
    assert recipe(source, arguments).exclude == ("classifier", "pre_classifier")


@pytest.mark.parametrize("latency", ["judge", "report", "skip"])
def test_latency_replaces_the_recipes(latency: str, source: str) -> None:
    assert recipe(source, taken("--latency", latency)).gates.latency == latency
    assert recipe(source, taken()).gates.latency == "skip"


def test_a_checkpoint_gives_a_recipe_named_like_its_folder() -> None:
    given = recipe("somebody/distilbert", BuildArguments(variants=["onnxruntime-cpu:int8"]))
    assert given == Recipe(
        name="distilbert",
        checkpoint="somebody/distilbert",
        variants=(VariantName(target="onnxruntime-cpu", precision="int8"),),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "fp32"], "^a variant is target:precision, found 'fp32'"),
        (["--name", ""], "a release cannot be called ''"),
        (["--data", "absent.jsonl"], "no evaluation data at absent.jsonl"),
        (
            ["--data", "/dev/null"],
            "/dev/null is a folder, a pipe or a device, and evaluation data are read more than",
        ),
        (["--capability", "8"], "^a compute capability is two numbers with a dot, found '8'"),
        (["--bucket", "64", "--bucket", "8"], "^--bucket must rise from at least 1, found 8 after 64\n"),
        (["--batch", "0"], "^--batch must rise from at least 1, found 0 after 0\n.*such as 1, 8, 32$"),
        (
            ["--variant", "onnxruntime-cpu:fp32", "--timing-cache", "kernels"],
            "--timing-cache applies only to engines.*onnxruntime-cpu:fp32.*--variant tensorrt",
        ),
        (
            ["--variant", "tensorrt-rtx:fp32", "--exclude", "q_lin"],
            "--exclude q_lin has no effect.*in fp32: tensorrt-rtx:fp32\n  hint: ",
        ),
        (
            ["--variant", "openvino:bf16", "--exclude", "q_lin"],
            "--exclude q_lin has no effect.*in fp32: openvino:bf16\n  hint: ",
        ),
    ],
)
def test_what_no_build_can_have_is_refused(arguments: list[str], message: str, source: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}"):
        recipe(source, taken(*arguments))


def test_a_compiler_calls_an_option_as_it_was_given(source: str) -> None:
    flagged = taken("--bucket", "32")
    spans = {"batch": Span(low=1, usual=2, high=4), "sequence": Span(low=2, usual=8, high=512)}
    for arguments, name in ((flagged, "--bucket, found 32"), (taken(), "buckets, found 64,128")):
        with pytest.raises(UsageError, match=f"does not support {name}: .*"), naming_flags(arguments):
            check(ONNXRUNTIME_RTX, recipe(source, arguments).engine, spans)


def test_a_value_that_is_not_a_choice_is_refused_by_the_command_line() -> None:
    result = CliRunner().invoke(app, ["build", "x", "--latency", "off"])
    assert result.exit_code == 2
    assert "'off' is not one of 'judge', 'report', 'skip'" in " ".join(result.stderr.replace("│", "").split())


def taken(*arguments: str) -> BuildArguments:
    """The options that a command is given for `arguments`."""
    calls: list[BuildArguments] = []

    def command(arguments: BuildArguments) -> None:
        calls.append(arguments)

    single = typer.Typer()
    single.command()(with_options(command))
    result = CliRunner().invoke(single, list(arguments))
    assert result.exit_code == 0, result.output
    (call,) = calls
    return call
