"""Workers as processes: they answer in turns, and one that fails says so. No latency is asserted."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench import plot, table
from bench.contest import Contestant, WorkerError, open_worker, open_workers, time_in_turns
from bench.shapes import Shape

SHAPES = (Shape(batch=1, tokens=16), Shape(batch=2, tokens=8))


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


def test_contestants_are_timed_in_turns_at_every_shape(graph: Path, tmp_path: Path) -> None:
    rows = [
        Contestant(name="first", subject="onnx-file", source=str(graph)),
        Contestant(name="second", subject="onnx-file", source=f"{graph}@session.intra_op.allow_spinning=0"),
    ]
    with open_workers(rows, 1, tmp_path) as workers:
        found = time_in_turns(workers, SHAPES, seconds=0.0, most_rounds=6)
    assert found.shapes == SHAPES
    for row in rows:
        for shape in SHAPES:
            assert len(found.of(row.name, shape).turns) == 5
            np.testing.assert_array_equal(found.logits[row.name, shape][:, 1], shape.tokens)
    assert "first" in table.medians(found)
    for suffix in ("svg", "png"):
        plot.draw(found, "second", tmp_path / f"plot.{suffix}", title="sums")
    assert "second" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_a_shape_is_timed_on_until_enough_rounds_had_near_cores(graph: Path, tmp_path: Path) -> None:
    near, apart = 1.0, 3.0
    row = Contestant(name="only", subject="onnx-file", source=str(graph))
    # Each of the five parts, of one round each, asks before and after it, and so does each part that is added
    for trips, rounds in (([near] * 99, 5), ([*[near] * 2, *[apart, near] * 5, *[near] * 99], 10)):
        told = iter(trips)
        with open_workers([row], 1, tmp_path) as workers:
            found = time_in_turns(
                workers, SHAPES[:1], seconds=0.0, most_rounds=5, round_trip=told.__next__, patience=60.0
            )
        assert len(found.of("only", SHAPES[0]).turns) == rounds
        assert len(found.round_trips[SHAPES[0]]) == rounds


def test_a_worker_that_cannot_open_its_file_is_an_error(tmp_path: Path) -> None:
    row = Contestant(name="absent", subject="onnx-file", source=str(tmp_path / "absent.onnx"))
    log = tmp_path / "log"
    with pytest.raises(WorkerError, match="absent ended"), open_worker(row, 1, log):
        pass
    assert "absent.onnx" in log.read_text(encoding="utf-8")
