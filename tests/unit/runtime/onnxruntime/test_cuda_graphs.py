"""Batches of known shapes through bound arrays; on a CPU, since ONNX Runtime binds arrays there in the same way.

tests/gpu shows that graphs are captured and answer.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partialmethod
from pathlib import Path
from threading import Thread, get_native_id

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from distilforge import EngineError, forks
from distilforge.cuda.captures import captures
from distilforge.onnxruntime import cuda_graphs
from distilforge.onnxruntime.cuda_graphs import CudaGraphs

from tests import graphs

ROOT = Path(__file__).parents[4]
Feeds = Mapping[str, npt.NDArray[np.int64]]


@cache
def plain() -> onnxruntime.InferenceSession:
    return graphs.session(graphs.exported("question_answering"))


def feeds(batch: int, tokens: int, seed: int = 0) -> Feeds:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, tokens + 1, batch)
    return {
        "input_ids": random.integers(0, graphs.CONFIG.vocab_size, (batch, tokens)),
        "attention_mask": (np.arange(tokens) < lengths[:, None]).astype(np.int64),
    }


def check(session: CudaGraphs, fed: Feeds) -> None:
    names = [output.name for output in session.get_outputs()]
    for got, expected in zip(session.run(names, dict(fed)), plain().run(names, dict(fed)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def session() -> CudaGraphs:
    return CudaGraphs(plain(), device="cpu")


def test_a_shape_gets_its_arrays_when_it_comes_again_and_keeps_them(session: CudaGraphs) -> None:
    bound = []
    for number in range(5):
        check(session, feeds(2, 7, number))
        bound.append(len(session._bound))
    assert bound == [0, 1, 1, 1, 1]


def test_shapes_are_kept_apart(session: CudaGraphs) -> None:
    shapes = [(1, 4), (3, 7), (1, 7), (4, 1)]
    for number in range(4):
        for batch, tokens in shapes:
            check(session, feeds(batch, tokens, number))
    assert len(session._bound) == len(shapes)
    entries = {bound.options.get_run_config_entry("gpu_graph_id") for bound in session._bound.values()}
    assert entries == {"1", "2", "3", "4"}


def test_an_answer_is_not_overwritten_by_the_next(session: CudaGraphs) -> None:
    names = [output.name for output in session.get_outputs()]
    answers = [session.run(names, dict(feeds(2, 5, seed)))[0] for seed in range(4)]
    kept = [answer.copy() for answer in answers]
    for seed in range(4, 8):
        session.run(names, dict(feeds(2, 5, seed)))
    for answer, copy in zip(answers, kept, strict=True):
        np.testing.assert_array_equal(answer, copy)


def test_shapes_beyond_the_limit_and_large_batches_run_without(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST_GRAPHS", 2)
    monkeypatch.setattr(cuda_graphs, "MOST_TOKENS", 20)
    for number in range(3):
        for batch, tokens in ((3, 7), (1, 2), (1, 3), (1, 4)):
            check(session, feeds(batch, tokens, number))
    assert {shapes[0] for _, shapes in session._bound} == {(1, 2), (1, 3)}


def test_arrays_beyond_the_limit_of_memory_run_without(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ids, masks and two outputs: 8 + 8 + 4 + 4 bytes a token
    monkeypatch.setattr(cuda_graphs, "MOST_BYTES", 24 * (14 + 4))
    for number in range(3):
        for tokens in (7, 2, 3):
            check(session, feeds(2, tokens, number))
    assert {shapes[0] for _, shapes in session._bound} == {(2, 7), (2, 2)}


def test_threads_get_their_own_answers(session: CudaGraphs) -> None:
    check(session, feeds(2, 3))
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda seed: check(session, feeds(2, 3 + seed % 3, seed)), range(60)))
    # A graph belongs to the thread that captured it, here the one for others
    assert set(session._bound) == {(False, ((2, tokens), (2, tokens))) for tokens in (3, 4, 5)}


def test_onnxruntime_runs_in_two_threads_however_many_ask(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps a graph and handles for each thread, and an identifier of Python's is used again."""
    threads: set[int] = set()
    for name in ("_with_graph", "_without_graph"):

        def recorded(self: CudaGraphs, *arguments: object, real: Callable[..., object]) -> object:
            threads.add(get_native_id())
            return real(self, *arguments)

        monkeypatch.setattr(CudaGraphs, name, partialmethod(recorded, real=getattr(CudaGraphs, name)))
    for number in range(20):
        thread = Thread(target=check, args=(session, feeds(2, 7, number)))
        thread.start()
        thread.join()
    assert len(threads) == 2
    assert len(session._bound) == 1


def test_shapes_that_came_once_do_not_take_the_place_of_one_that_comes_again(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST_GRAPHS", 1)
    monkeypatch.setattr(cuda_graphs, "MOST_SEEN", 4)
    for tokens in range(8, 20):
        check(session, feeds(1, tokens))
    assert len(session._seen) == 4
    for number in range(3):
        check(session, feeds(2, 7, number))
    assert [shapes[0] for _, shapes in session._bound] == [(2, 7)]


def test_a_graph_waits_until_a_release_is_opened(session: CudaGraphs) -> None:
    check(session, feeds(2, 7))
    with captures.opening(), ThreadPoolExecutor(max_workers=1) as pool:
        for number in range(3):
            pool.submit(check, session, feeds(2, 8, number)).result(timeout=60)
    ((key, bound),) = session._bound.items()
    assert (key[1][0], bound.runs) == ((2, 8), 0)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(check, session, feeds(2, 8)).result(timeout=60)
    assert bound.runs == 1


def test_an_answer_that_is_not_a_number_does_not_end_graphs(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [output.name for output in session.get_outputs()]
    real = onnxruntime.InferenceSession.run
    fed = dict(feeds(2, 7))

    def spoiled(self: onnxruntime.InferenceSession, *arguments: object) -> list[npt.NDArray[np.float32]]:
        return [np.full_like(answer, np.nan) for answer in real(self, *arguments)]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", spoiled)
    to_host = CudaGraphs._to_host
    monkeypatch.setattr(CudaGraphs, "_to_host", lambda self, value: to_host(self, value) * np.nan)
    for _ in range(4):
        assert all(np.isnan(answer).all() for answer in session.run(names, fed))
    assert session._may_use_graphs


def test_threads_are_answered_after_the_main_thread_has_ended() -> None:
    """A program whose main function starts threads and returns."""
    program = """
import threading
from tests import graphs
from tests.unit.runtime.onnxruntime.test_cuda_graphs import CudaGraphs, check, feeds, plain
session = CudaGraphs(plain(), device="cpu")
check(session, feeds(2, 3))
def work():
    threading.main_thread().join()
    for number in range(4):
        check(session, feeds(2, 7, number))
    print("answered", len(session._bound))
threading.Thread(target=work).start()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "answered 1\n"), ended.stderr


def test_a_forked_process_is_told(session: CudaGraphs, monkeypatch: pytest.MonkeyPatch) -> None:
    process = os.getpid() + 1
    check(session, feeds(2, 3))
    monkeypatch.setattr(forks.os, "getpid", lambda: process)
    with pytest.raises(
        EngineError, match=rf"was opened in process {process - 1}, from which this one"
    ) as caught:
        session.run(["start_logits"], dict(feeds(2, 3)))
    assert "after the fork" in caught.value.hint


def test_sessions_that_capture_in_several_threads_answer_each_their_own() -> None:
    sessions = [CudaGraphs(plain(), device="cpu") for _ in range(3)]
    with ThreadPoolExecutor(max_workers=6) as pool:
        list(
            pool.map(
                lambda seed: check(sessions[seed % 3], feeds(1 + seed % 2, 3 + seed % 5, seed)), range(120)
            )
        )
    assert all(session._bound for session in sessions)


def test_a_graph_that_answers_otherwise_is_not_used(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = CudaGraphs._to_host
    for number in range(4):
        check(session, feeds(1, 5, number))
    monkeypatch.setattr(CudaGraphs, "_to_host", lambda self, value: real(self, value) + 1)
    for number in range(4):
        check(session, feeds(2, 5, number))
    check(session, feeds(1, 5))
    assert not session._bound
    (record,) = caplog.records
    assert "uses no more graphs" in record.getMessage()


@pytest.mark.parametrize("where", ["update_inplace", "ortvalue_from_shape_and_type"])
def test_a_device_without_room_for_a_graph(
    session: CudaGraphs, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(onnxruntime.OrtValue, where, refuse)
    for number in range(5):
        check(session, feeds(2, 5, number))
    (record,) = caplog.records
    assert "(out of memory); this session uses no more graphs" in record.getMessage()


@pytest.mark.parametrize(
    ("options", "graphed"),
    [
        ({"enable_cuda_graph": "1"}, True),
        ({"enable_cuda_graph": "True"}, True),
        ({"enable_cuda_graph": "0"}, False),
        ({}, False),
    ],
)
def test_the_provider_has_to_be_opened_for_them(options: Mapping[str, str], graphed: bool) -> None:
    assert isinstance(cuda_graphs.of(plain(), options), CudaGraphs) == graphed


def test_a_run_in_the_middle_of_another_in_the_same_thread_is_refused(
    session: CudaGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a signal handler, or where Python collects an object that asks the session as it goes."""
    names = [output.name for output in session.get_outputs()]
    real = CudaGraphs._without_graph
    refused: list[str] = []

    def within(self: CudaGraphs, output_names: list[str], fed: dict[str, npt.NDArray[np.int64]]) -> object:
        with pytest.raises(EngineError, match="in the middle of another run in this thread") as caught:
            self.run(output_names, fed)
        refused.append(caught.value.hint)
        return real(self, output_names, fed)

    monkeypatch.setattr(CudaGraphs, "_without_graph", within)
    session.run(names, dict(feeds(2, 3)))
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(session.run, names, dict(feeds(2, 3))).result(timeout=60)
    assert refused == ["do not call it in a signal handler, nor in what Python collects"] * 2
    monkeypatch.undo()
    check(session, feeds(2, 3))
