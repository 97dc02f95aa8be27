"""Runs go on together, and a capture alone, whatever is interrupted."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event, Thread

import pytest
from distilforge.cuda.captures import Captures


def test_nothing_runs_while_a_graph_is_captured() -> None:
    captures, order = Captures(), []
    begun, waits = Event(), Event()

    def run(name: str, use: Callable[[], AbstractContextManager[object]]) -> None:
        with use():
            order.append(f"{name} begins")
            if name == "first":
                begun.set()
                waits.wait(timeout=30)
            order.append(f"{name} ends")

    first, capture, later = (
        Thread(target=run, args=(name, use))
        for name, use in (
            ("first", captures.beside),
            ("capture", captures.alone),
            ("later", captures.beside),
        )
    )
    first.start()
    begun.wait(timeout=30)
    capture.start()
    while not captures._captures:
        time.sleep(0.001)
    later.start()
    later.join(timeout=0.05)
    assert order == ["first begins"]
    waits.set()
    for thread in (first, capture, later):
        thread.join(timeout=30)
    assert order == [
        f"{name} {what}" for name in ("first", "capture", "later") for what in ("begins", "ends")
    ]


def test_opening_a_release_waits_for_a_capture() -> None:
    captures, order = Captures(), []

    def open_release() -> None:
        with captures.opening():
            order.append("opened")

    with captures.alone() as may_capture:
        assert may_capture
        opening = Thread(target=open_release)
        opening.start()
        opening.join(timeout=0.05)
        order.append("captured")
    opening.join(timeout=30)
    assert order == ["captured", "opened"]


def test_nothing_is_captured_while_a_release_is_opened() -> None:
    captures = Captures()
    with captures.opening(), captures.beside() as runs:
        assert runs
        with captures.alone() as may_capture:
            assert not may_capture
    with captures.alone() as may_capture:
        assert may_capture


def test_an_interrupted_wait_leaves_nothing_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = Captures()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with captures.beside(), monkeypatch.context() as patch:
        patch.setattr(captures._changed, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), captures.alone():
            pytest.fail("it was interrupted before")
    with captures.beside() as runs:
        assert runs
    with captures.alone() as may_capture:
        assert may_capture


def test_a_failure_inside_ends_the_block() -> None:
    captures = Captures()
    for use in (captures.beside, captures.alone, captures.opening):
        with pytest.raises(ValueError, match="inside"), use():
            raise ValueError("inside")
    with captures.alone() as may_capture:
        assert may_capture
