"""Several tasks at once: results by name, failures, and estimates of memory."""

import threading
from functools import partial
from pathlib import Path

import pytest

from pipeline.engines.pool import Pool, estimated_bytes, free_bytes
from pipeline.errors import StageError


def quiet(text: str) -> None:
    pass


def test_tasks_overlap_and_results_have_their_names() -> None:
    both = threading.Barrier(2, timeout=30)

    def task(number: int) -> int:
        both.wait()
        return number

    assert Pool(workers=2).run({"a": partial(task, 1), "b": partial(task, 2)}, progress=quiet) == {
        "a": 1,
        "b": 2,
    }


def test_the_failed_task_is_named_and_no_further_one_starts() -> None:
    said: list[str] = []
    begun: list[str] = []

    def fail() -> None:
        raise StageError("engine", "no")

    tasks = {"bad": fail, **{name: partial(begun.append, name) for name in "abcdefgh"}}
    with pytest.raises(StageError, match="no"):
        Pool(workers=1).run(tasks, progress=said.append)
    assert said == ["bad failed"]
    # The thread may have started the next one before the failure was noticed
    assert len(begun) < 8


def test_the_estimate_grows_with_the_graph_and_its_external_data(tmp_path: Path) -> None:
    graph = tmp_path / "x.onnx"
    graph.write_bytes(bytes(1000))
    alone = estimated_bytes(graph)
    (tmp_path / "x.onnx_data").write_bytes(bytes(1000))
    assert estimated_bytes(graph) - alone == alone - estimated_bytes(tmp_path / "none.onnx") > 1000


def test_free_memory_is_a_plausible_number() -> None:
    assert 0 < free_bytes() < 2**50
