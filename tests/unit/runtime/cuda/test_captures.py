"""Runs go on together, and a capture alone, whatever is interrupted."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event, Thread

import pytest
from distilforge.cuda.captures import Captures, _Use


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
    while len(captures._uses) < 2:
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
    answers: list[bool] = []

    def use(way: Callable[[], AbstractContextManager[bool]]) -> None:
        with way() as answer:
            answers.append(answer)

    with captures.opening():
        for way in (captures.beside, captures.alone):
            thread = Thread(target=use, args=(way,))
            thread.start()
            thread.join(timeout=30)
    assert answers == [True, False]
    with captures.alone() as may_capture:
        assert may_capture


def test_nothing_is_captured_where_a_release_began_to_open_while_it_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captures = Captures()

    def begins(ready: Callable[[], bool]) -> bool:
        captures._uses[-1] = _Use.OPENING
        return ready()

    monkeypatch.setattr(captures._changed, "wait_for", begins)
    with captures.alone() as may_capture:
        assert not may_capture
    assert list(captures._uses.values()) == [_Use.OPENING]


def test_two_captures_follow_each_other() -> None:
    captures, inside = Captures(), []

    def capture() -> None:
        with captures.alone():
            inside.append(len(captures._uses))
            time.sleep(0.01)

    threads = [Thread(target=capture) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(inside) == 4
    assert not captures._uses


def test_a_block_that_an_interrupt_left_open_ends_with_the_next_one() -> None:
    captures = Captures()
    # As Ctrl-C between a block and its end
    captures._begin(_Use.RUN)
    with captures.beside() as runs:
        assert runs
    with captures.alone() as may_capture:
        assert may_capture
    captures._begin_capture()
    with captures.opening():
        assert list(captures._uses.values()) == [_Use.OPENING]
    assert not captures._uses


def test_an_interrupted_wait_leaves_nothing_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = Captures()
    calls: list[object] = []

    def interrupted(ready: object) -> None:
        calls.append(ready)
        # The first wait, for other captures, ends at once
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(captures._changed, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), captures.alone():
            pytest.fail("it was interrupted before")
    assert not captures._uses
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
