"""`distilforge quantize`: what its options are called, in its help and in its errors."""

from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.cli.graph_commands import FLAGS
from pipeline.errors import OptionError
from pipeline.graph import file as graph_file
from pipeline.precision.ranges import methods
from pipeline.precision.ranges.statistics import Statistics
from pipeline.recipe.plan import Plan
from tests.graphs import exported

NOT_OFFERED = {"smoothed", "signed_activations", "session", "needs"}
"""The options of a plan that only targets need; their defaults are never at fault."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A graph as `distilforge export` writes it."""
    graph_file.save(exported(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def refusal(model: Path, *arguments: str) -> str:
    """The message of `distilforge quantize`, which must refuse `arguments` before it reads the checkpoint."""
    output = model.with_name("quantized.onnx")
    given = ["quantize", str(model), "--checkpoint", "absent", "--output", str(output), *arguments]
    ran = CliRunner().invoke(app, given)
    assert ran.exit_code == 2, ran.stderr
    assert not output.exists()
    return ran.stderr


def test_every_option_of_a_plan_has_a_flag_or_is_not_offered() -> None:
    assert FLAGS.keys() == {entry.name for entry in fields(Plan)} - NOT_OFFERED - {"scheme"}
    shown = CliRunner().invoke(app, ["quantize", "--help"], env={"COLUMNS": "200"}).stdout
    assert [name for name, flag in FLAGS.items() if f"{flag} " not in shown] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("int8_static", "--method", "mimax"), "unknown --method 'mimax'; known: minmax, "),
        (("int8_static", "--weight-bits", "6"), "--weight-bits must be 7 or 8, found 6"),
        (("int8_static", "--weight-bits", "7", "--exact-pairs"), "--exact-pairs bounds weights of 8 bits"),
        (("int8_static", "--weight-bits", "7", "--exact-pairs"), "found --weight-bits 7"),
        (("int8_static", "--smoothing", "2"), "--smoothing must lie between 0 and 1, found 2.0"),
        (("int8_dynamic", "--method", "mse"), "int8_dynamic does not take --method, found 'mse'"),
        (("int8_dynamic", "--attention"), "int8_dynamic does not take --attention\n"),
        (("fp16", "--exact-pairs"), "hint: leave --exact-pairs out"),
        (("fp16", "--smoothing", "0.5"), "fp16 does not take --smoothing, found 0.5"),
    ],
)
def test_an_error_names_the_flag_that_was_given(
    arguments: tuple[str, ...], message: str, model: Path
) -> None:
    assert message in refusal(model, "--scheme", *arguments)


def test_an_error_while_calibrating_names_the_flag() -> None:
    with pytest.raises(OptionError) as caught:
        methods.e4m3_range(Statistics("x", histogram=True), "entropy")
    assert "fp8 does not take --method 'entropy'" in str(caught.value.called(FLAGS))


def test_a_scheme_that_leaves_the_precision_to_the_engine_is_refused_and_not_offered(model: Path) -> None:
    error = refusal(model, "--scheme", "bf16_by_engine")
    assert "writes nothing into a graph: the engine rounds while it runs" in error
    assert "--variant openvino:bf16" in error
    assert "known: fp16, fp8_static_fp16, int8_dynamic" in refusal(model, "--scheme", "bf17")
    listed = CliRunner().invoke(app, ["list", "schemes"]).stdout
    rows = {line.split()[1]: line for line in listed.splitlines() if " written " in line}
    assert {"fp16", "int8_static"} <= rows.keys()
    assert "bf16_by_engine" not in rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scheme", "int8_static"), "excluding embeddings*, *lin*, *classifier leaves nothing to quantize"),
        (("--scheme", "fp16"), "excluding embeddings*, *lin*, *classifier leaves nothing to quantize"),
        (("--scheme", "int8_static", "--exclude", "*.attention"), "unknown module '*.attention'; known: "),
        (("--scheme", "fp16", "--exclude", "*.attention"), "hint: its modules are '*.attention.*'"),
    ],
)
def test_an_exclude_without_an_effect_is_refused_by_every_scheme(
    arguments: tuple[str, ...], message: str, model: Path
) -> None:
    everything = [part for name in ("embeddings*", "*lin*", "*classifier") for part in ("--exclude", name)]
    assert message in refusal(model, *arguments, *everything)
