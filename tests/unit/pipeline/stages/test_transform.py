"""Plans applied to graphs: the committed plans for every head, and graphs of other exporters, which stop a build."""

from pathlib import Path

import numpy as np
import pytest

from model_src import heads
from pipeline import targets
from pipeline.errors import ContractError, UsageError
from pipeline.precision import Feeds
from pipeline.recipe.plan import Plan, preset
from pipeline.stages.transform import transform
from tests.graphs import (
    LAYERS,
    answer,
    calibration,
    exported,
    feeds,
    relative_error,
    renamed,
    torchscript,
    what_is_read,
)

CPU = "onnxruntime-cpu"
HEAD = "sequence_classification"
PRECISIONS = ("fp32", "int8", "int8_7bit")
# Root mean square of the difference over that of the answers; 7 bits have half the steps
NEAR = {"fp32": 1e-5, "int8": 0.1, "int8_7bit": 0.2}
# The pass that stops first where an exporter writes attention in other operators
FIRST = {"fp32": "attention_mha", "int8": "attention_scale", "int8_7bit": "attention_scale"}


@pytest.mark.parametrize("head", heads.names())
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_committed_plans_answer_near_the_exported_graph(
    precision: str, head: str, tmp_path: Path
) -> None:
    graph, inputs = exported(head), feeds(head, 3, 9, seed=50)
    expected = answer(graph, inputs)
    plan = preset(CPU, precision, head)
    transformed = transform(graph, plan, calibration(head))
    attentions = [record for record in transformed.passes if record.name.startswith("attention")]
    assert all(record.rewrites >= LAYERS for record in attentions)
    (file,) = targets.compile_graph(targets.find(CPU, precision), graph, precision, tmp_path)
    assert (tmp_path / file).is_file()
    for output, wanted in zip(answer(graph, inputs, entries=plan.session), expected, strict=True):
        assert np.isfinite(output).all()
        read, wanted_there = (what_is_read(array, inputs["attention_mask"]) for array in (output, wanted))
        assert relative_error(read, wanted_there) < NEAR[precision]


def test_records_are_in_the_order_of_the_work() -> None:
    plan = Plan(
        passes=("flatten_tokens", "attention_scale"), scheme="int8_static", final_passes=("integer_matmul",)
    )
    names = [record.name for record in transform(exported(), plan, calibration()).passes]
    assert names == ["attention_scale", "flatten_tokens", "int8_embeddings", "int8_static", "integer_matmul"]


def test_fp32_does_not_ask_for_calibration() -> None:
    def never() -> list[Feeds]:
        raise AssertionError("asked")

    transformed = transform(exported(), Plan(passes=("flatten_tokens",)), never)
    assert [record.name for record in transformed.passes] == ["flatten_tokens"]
    assert (transformed.verdicts, transformed.notes) == ((), ())


def test_the_notes_of_a_scheme_are_kept() -> None:
    transformed = transform(exported(), Plan(scheme="int8_dynamic"), calibration())
    assert any("batch" in note for note in transformed.notes)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(passes=("atention_mha",)), "unknown pass 'atention_mha'.*did you mean 'attention_mha'"),
        (Plan(scheme="int8_statik"), "unknown scheme 'int8_statik'.*did you mean 'int8_static'"),
        (Plan(scheme="int8_static", final_passes=("integer",)), "unknown pass 'integer'"),
        (Plan(scheme="int8_static", exclude=("clasifier",)), "did you mean 'classifier'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(plan: Plan, message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}"):
        transform(exported(), plan, calibration())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_graph_of_the_torchscript_exporter_stops_the_build_by_the_pass(precision: str) -> None:
    with pytest.raises(ContractError, match=r"matched \d times, must match at least \d") as caught:
        transform(torchscript(), preset(CPU, precision, HEAD), calibration())
    assert caught.value.name in preset(CPU, precision, HEAD).passes


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_renamed_operator_stops_the_build_by_the_pass(precision: str) -> None:
    for operator, name in (("Softmax", None), ("LayerNormalization", None), ("Div", FIRST[precision])):
        plan = preset(CPU, precision, HEAD)
        with pytest.raises(
            ContractError, match=f"(?s){name or ''} matched 0 times.*distilforge list passes"
        ) as caught:
            transform(renamed(exported(), operator), plan, calibration())
        assert caught.value.name in plan.passes
