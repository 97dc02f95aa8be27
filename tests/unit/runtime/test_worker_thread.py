"""Calls that are all made in one thread."""

import gc
import signal
import time
import weakref
from threading import Event, Thread, get_ident

import pytest
from distilforge.worker_thread import WorkerThread


class Feeds:
    """What a caller passes."""


def test_calls_are_made_in_one_thread() -> None:
    worker = WorkerThread("a worker")
    threads = {worker.call(get_ident) for _ in range(5)}
    assert len(threads) == 1
    assert threads != {get_ident()}
    # A call from there is made at once
    assert worker.call(lambda: worker.call(get_ident)) in threads


def test_an_error_reaches_the_caller_and_keeps_nothing_of_theirs() -> None:
    worker = WorkerThread("a worker")

    def fail(feeds: Feeds) -> None:
        raise ValueError("refused")

    def call() -> "weakref.ref[Feeds]":
        feeds = Feeds()
        alive = weakref.ref(feeds)
        with pytest.raises(ValueError, match="refused"):
            worker.call(lambda: fail(feeds))
        return alive

    gc.disable()
    try:
        alive = call()
        # The thread lets go of a call before it takes the next
        worker.call(get_ident)
        assert alive() is None
    finally:
        gc.enable()


def test_a_signal_handler_may_call_while_its_thread_waits() -> None:
    worker, begun, answers = WorkerThread("a worker"), Event(), []

    def slow() -> str:
        begun.set()
        time.sleep(0.05)
        return "slow"

    def handler(number: int, frame: object) -> None:
        answers.append(worker.call(lambda: "at once"))

    def send() -> None:
        assert begun.wait(timeout=30)
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        sender = Thread(target=send)
        sender.start()
        assert worker.call(slow) == "slow"
        sender.join(timeout=30)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert answers == ["at once"]
