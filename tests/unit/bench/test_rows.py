"""Rows as processes of their own, with tables and the drawing of what they gave. No latency is asserted."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape
from distilforge.timing.subject import Runner, Subject
from onnx import TensorProto, helper

from bench import differences, opening, plot, table
from bench.rows import Row, time_rows
from tests.timing_subjects import DEADLY, measurement, sleeper, steady

SHAPES = (Shape(batch=1, tokens=16), Shape(batch=2, tokens=8))
# 97.5% for each end of an interval
FEWEST_ROUNDS = 6


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph with a classifier's inputs whose logits are the sums of ids and of the mask."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [
        helper.make_node("ReduceSum", [each.name, "axes"], [f"{each.name}_sum"], keepdims=1)
        for each in inputs
    ]
    nodes.append(helper.make_node("Concat", ["input_ids_sum", "attention_mask_sum"], ["both"], axis=1))
    nodes.append(helper.make_node("Cast", ["both"], ["logits"], to=TensorProto.FLOAT))
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    made = helper.make_graph(nodes, "sums", inputs, [output], [axes])
    path = tmp_path / "sums.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_rows_are_timed_at_every_shape_and_one_that_does_not_open_costs_itself(
    graph: Path, tmp_path: Path
) -> None:
    rows = [
        Row(name="first", subject="onnx-file", source=str(graph)),
        Row(name="second", subject="onnx-file", source=f"{graph}@session.intra_op.allow_spinning=0"),
        Row(name="third", subject="onnx-file", source=str(tmp_path / "absent.onnx")),
    ]
    timing, absent = time_rows(
        [opening.subject(row, 1) for row in rows], SHAPES, 0.0, progress=lambda line: None
    )
    (left_out,) = absent
    assert left_out.name == "third"
    assert "absent.onnx" in left_out.reason
    assert timing.shapes == SHAPES
    assert timing.steadiness.rounds == FEWEST_ROUNDS
    for name in ("first", "second"):
        for shape in SHAPES:
            np.testing.assert_array_equal(np.array(timing.facts[name, shape]["logits"])[:, 1], shape.tokens)
    assert differences.largest(timing, "first") == {"first": 0.0, "second": 0.0}
    assert differences.largest(timing, "third") == {}
    assert "first" in table.medians(timing, ["first", "second"])
    for suffix in ("svg", "png"):
        plot.draw(timing, ["first", "second"], "second", tmp_path / f"plot.{suffix}", title="sums")
    assert "second" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_a_row_that_dies_on_the_way_costs_itself_and_the_others_are_timed_again(tmp_path: Path) -> None:
    lives = Subject(name="lives", opener=f"{__name__}:open_survivor")
    dies = sleeper("dies", 0.001, tmp_path / "log")
    timing, absent = time_rows(
        [lives, dies], [Shape(batch=1, tokens=DEADLY)], 0.0, progress=lambda line: None
    )
    assert [one.name for one in absent] == ["dies"]
    assert absent[0].reason.endswith("a last word")
    assert {taken.subject for taken in timing.measurements} == {"lives"}
    assert timing.steadiness.rounds == FEWEST_ROUNDS


class Survivor(Runner):
    """It takes any shape, a millisecond each."""

    def feed(self, shape: Shape) -> None:
        pass

    def run(self) -> None:
        time.sleep(0.001)


def open_survivor() -> Survivor:
    """A subject that does not mind what the sleeper dies of."""
    return Survivor()


def test_a_refused_shape_has_a_dash_and_a_footnote() -> None:
    small, large = SHAPES
    timing = Timing(
        measurements=(
            measurement("one", small, ((0.001,),) * 6),
            measurement("one", large, ((0.004,),) * 6),
            measurement("two", small, ((0.002,),) * 6),
        ),
        steadiness=steady(6),
        refusals={("two", large): "ValueError: too large"},
    )
    lines = table.medians(timing, ["one", "two"]).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["one", "1.00", "4.00", "2.00"]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["two", "2.00", "-", "-"]
    assert table.refusals(timing)[0].endswith("- two at 2x8: ValueError: too large")


def test_the_rounds_that_are_left_out_have_a_table_of_their_own() -> None:
    rounds = (*((0.001,),) * 6, *((0.003,),) * 6)
    steadiness = steady(12, apart=tuple(range(6, 12)))
    timing = Timing(measurements=(measurement("one", SHAPES[0], rounds),), steadiness=steadiness)
    assert table.apart(timing, ["one"]) == "Not measured."
    assert "1.00" in table.medians(timing, ["one"])
    measured = _with_trips(timing, (180.0, 400.0))
    shown = table.apart(measured, ["one"])
    assert "took 180 ns at best" in shown
    assert "6 of 12 rounds" in shown
    assert "3.00" in shown
    assert "too few" in table.apart(_with_trips(timing, (180.0, 400.0), apart=(11,)), ["one"])
    assert "all rounds" in table.apart(_with_trips(timing, (180.0, 400.0), apart=()), ["one"])
    assert "never were" in table.apart(_with_trips(timing, (180.0, 200.0), apart=()), ["one"])


def _with_trips(timing: Timing, trips: tuple[float, float], apart: tuple[int, ...] | None = None) -> Timing:
    left_out = timing.steadiness.apart if apart is None else apart
    return replace(
        timing, steadiness=replace(timing.steadiness, round_trip_nanoseconds=trips, apart=left_out)
    )
