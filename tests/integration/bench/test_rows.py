"""Rows that are timed in processes of their own, and the plot of their times. No latency is asserted."""

import math
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from distilforge.timing import steadiness
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject
from onnx import TensorProto, helper

from bench.contest import differences
from bench.contest.rows import time_rows
from bench.cpu import opening
from bench.subjects.onnx_file import given_file
from bench.tables import plot
from tests.timing_subjects import DEADLY, sleeper

SHAPES = (Shape(batch=1, tokens=16), Shape(batch=2, tokens=8))
# Of an interval with 97.5% for each end
FEWEST_ROUNDS = 6
STEADINESS_LIMITS = (
    "SPREAD_LIMIT",
    "OTHERS_CORES_LIMIT",
    "STOLEN_CORES_LIMIT",
    "INTERRUPTIONS_LIMIT",
    "CLOCK_CHANGE_LIMIT",
)


@pytest.fixture
def steady_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that every machine meets, so that a timing is not repeated."""
    for name in STEADINESS_LIMITS:
        monkeypatch.setattr(steadiness, name, math.inf)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph with the inputs of a classifier, whose logits are the sums of the ids and of the mask."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [
        helper.make_node("ReduceSum", [value.name, "axes"], [f"{value.name}_sum"], keepdims=1)
        for value in inputs
    ]
    nodes.append(helper.make_node("Concat", ["input_ids_sum", "attention_mask_sum"], ["both"], axis=1))
    nodes.append(helper.make_node("Cast", ["both"], ["logits"], to=TensorProto.FLOAT))
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    sums = helper.make_graph(nodes, "sums", inputs, [output], [axes])
    path = tmp_path / "sums.onnx"
    onnx.save(helper.make_model(sums, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.mark.usefixtures("steady_machine")
def test_rows_are_timed_at_every_shape_and_one_that_does_not_open_is_left_out(
    graph: Path, tmp_path: Path
) -> None:
    rows = [
        given_file(str(graph), name="first"),
        given_file(f"{graph}@session.intra_op.allow_spinning=0", name="second"),
        given_file(str(tmp_path / "absent.onnx")),
    ]
    timing, omissions = time_rows(
        [opening.timing_subject(row, 1) for row in rows], SHAPES, 0.0, progress=lambda line: None
    )
    (omission,) = omissions
    assert omission.name == "absent.onnx"
    assert "absent.onnx" in omission.reason
    assert timing.shapes == SHAPES
    assert timing.steadiness.rounds == FEWEST_ROUNDS
    for name in ("first", "second"):
        for shape in SHAPES:
            np.testing.assert_array_equal(np.array(timing.facts[name, shape]["logits"])[:, 1], shape.tokens)
    assert differences.largest(timing, "first") == {"first": 0.0, "second": 0.0}
    assert differences.largest(timing, "third") == {}
    for suffix in ("svg", "png"):
        plot.draw(timing, ["first", "second"], "second", tmp_path / f"plot.{suffix}", title="sums")
    assert "second" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("limit", "timings"), [(math.inf, 1), (-1.0, 2)])
def test_an_unsteady_timing_is_repeated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, timings: int
) -> None:
    """Limits that every machine meets, and limits that no machine meets."""
    for name in STEADINESS_LIMITS:
        monkeypatch.setattr(steadiness, name, limit)
    lines: list[str] = []
    subject = sleeper("one", 0.001, tmp_path / "log")
    timing, _ = time_rows([subject], SHAPES[:1], 0.0, progress=lines.append)
    assert timing.steadiness.steady == (timings == 1)
    assert sum(line.startswith("round 1, ") for line in lines) == timings
    assert sum(line.startswith("timing once more, since ") for line in lines) == timings - 1


@pytest.mark.usefixtures("steady_machine")
def test_a_row_that_dies_is_left_out_and_the_others_are_timed_again(tmp_path: Path) -> None:
    lives = Subject(name="lives", opener=f"{__name__}:open_survivor")
    dies = sleeper("dies", 0.001, tmp_path / "log")
    timing, omissions = time_rows(
        [lives, dies], [Shape(batch=1, tokens=DEADLY)], 0.0, progress=lambda line: None
    )
    assert [omission.name for omission in omissions] == ["dies"]
    assert omissions[0].reason.endswith("a last word")
    assert {measurement.subject for measurement in timing.measurements} == {"lives"}
    assert timing.steadiness.rounds == FEWEST_ROUNDS


class Survivor(Runner):
    """Takes every shape, and a millisecond for each run."""

    def feed(self, shape: Shape) -> None:
        pass

    def run(self) -> None:
        time.sleep(0.001)


def open_survivor() -> Survivor:
    """The opener of a subject that survives the shape at which a sleeper dies."""
    return Survivor()
