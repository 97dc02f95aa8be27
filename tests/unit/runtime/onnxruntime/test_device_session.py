"""A session on a device: what it waits for, and what goes with it; on a CPU, where ONNX Runtime does the same."""

import gc
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import numpy as np
import onnxruntime
import pytest
from distilforge import EngineError, forks
from distilforge.cuda.captures import captures
from distilforge.onnxruntime.cuda_graphs import CudaGraphs
from distilforge.onnxruntime.device_session import DeviceSession

from tests import graphs

NAMES = ["logits"]
IDS = np.array([[5, 6, 7]])
FEEDS = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}


def new() -> onnxruntime.InferenceSession:
    return graphs.session(graphs.exported())


def test_it_answers_as_the_session_does() -> None:
    plain, session = new(), DeviceSession(new())
    np.testing.assert_array_equal(session.run(NAMES, FEEDS)[0], plain.run(NAMES, FEEDS)[0])
    assert session.get_providers() == plain.get_providers()
    assert [value.name for value in session.get_inputs()] == list(FEEDS)
    assert [value.name for value in session.get_outputs()] == NAMES


def test_a_run_waits_for_a_capture() -> None:
    session, order, begun = DeviceSession(new()), [], Event()

    def run() -> None:
        begun.set()
        session.run(NAMES, FEEDS)
        order.append("answered")

    with ThreadPoolExecutor(max_workers=1) as pool:
        with captures.alone():
            answer = pool.submit(run)
            assert begun.wait(timeout=30)
            with pytest.raises(TimeoutError):
                answer.result(timeout=0.1)
            order.append("captured")
        answer.result(timeout=30)
    assert order == ["captured", "answered"]


def test_a_forked_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    session, process = DeviceSession(new()), os.getpid() + 1
    monkeypatch.setattr(forks.os, "getpid", lambda: process)
    with pytest.raises(EngineError, match=rf"was opened in process {process - 1}, from which this one"):
        session.run(NAMES, FEEDS)


@pytest.mark.parametrize("has_graphs", [False, True])
def test_it_is_freed_when_a_capture_has_ended(has_graphs: bool) -> None:
    plain = new()
    alive = weakref.ref(plain)
    session = CudaGraphs(plain, device="cpu") if has_graphs else DeviceSession(plain)
    del plain
    for _ in range(3):
        session.run(NAMES, FEEDS)
    arrays = weakref.WeakSet[object]()
    if isinstance(session, CudaGraphs):
        arrays.update(value for bound in session._bound.values() for value in bound.inputs.values())
    assert bool(arrays) == has_graphs
    held = [session]
    del session
    with captures.alone():
        thread = Thread(target=held.clear)
        thread.start()
        thread.join(timeout=30)
        assert not thread.is_alive()
        assert alive() is not None
        assert bool(arrays) == has_graphs
    assert alive() is None
    assert not arrays


def test_an_object_that_uses_it_as_both_are_collected_is_told() -> None:
    messages: list[str] = []

    class User:
        def __init__(self) -> None:
            self.itself, self.session = self, DeviceSession(new())

        def __del__(self) -> None:
            try:
                self.session.run(NAMES, FEEDS)
            except EngineError as error:
                messages.append(error.message)

    User()
    gc.collect()
    assert messages == ["the session was collected together with what uses it"]
