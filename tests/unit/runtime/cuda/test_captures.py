"""Runs go on together, and a capture alone, whatever is interrupted; nothing is freed meanwhile."""

import gc
import os
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from threading import Event, Thread, get_ident

import pytest
from distilforge.cuda.captures import Captures, _Use


def elsewhere(function: Callable[[], object]) -> None:
    """Call it in another thread, which it must not keep."""
    thread = Thread(target=function, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()


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
    end = time.monotonic() + 30
    while len(captures._uses) < 2:
        assert time.monotonic() < end
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
            elsewhere(partial(use, way))
    assert answers == [True, False]
    with captures.alone() as may_capture:
        assert may_capture


def test_nothing_is_captured_where_a_release_began_to_open_while_it_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captures = Captures()

    def begins(ready: Callable[[], bool], timeout: float) -> bool:
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

    def interrupted(ready: object, timeout: float) -> bool:
        calls.append(ready)
        # The first wait, for other captures, ends at once
        if len(calls) == 2:
            raise KeyboardInterrupt
        return True

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


def test_a_job_is_done_at_once() -> None:
    captures, done = Captures(), []
    captures.afterwards(lambda: done.append(dict(captures._uses)))
    ((uses,),) = (done,)
    # As a run, beside which nothing is captured
    assert list(uses.values()) == [_Use.RUN]
    assert not captures._uses


@pytest.mark.parametrize("block", ["beside", "opening", "alone"])
def test_a_job_waits_for_this_threads_block(block: str) -> None:
    captures, done = Captures(), []
    use: Callable[[], AbstractContextManager[bool]] = getattr(captures, block)
    with use():
        captures.afterwards(lambda: done.append(1))
        assert not done
    assert done == [1]
    assert not captures._uses


def test_a_job_waits_for_another_threads_capture() -> None:
    captures, done = Captures(), []
    with captures.alone():
        elsewhere(lambda: captures.afterwards(lambda: done.append(1)))
        assert not done
    assert done == [1]


def test_a_job_does_not_wait_for_another_threads_run() -> None:
    captures, done = Captures(), []
    with captures.beside():
        elsewhere(lambda: captures.afterwards(lambda: done.append(1)))
        assert done == [1]


def test_a_job_that_comes_up_while_another_is_done() -> None:
    captures, done = Captures(), []

    def first() -> None:
        captures.afterwards(lambda: done.append("second"))
        done.append("first")

    captures.afterwards(first)
    assert done == ["first", "second"]
    assert not captures._uses


def test_what_python_collects_while_a_block_begins_and_ends() -> None:
    """Finalizers run between any two steps, also while this thread has the lock."""
    captures, done = Captures(), []

    class InACircle:
        def __init__(self, name: str) -> None:
            self.itself = self
            weakref.finalize(self, captures.afterwards, lambda: done.append(name))

    class Uses(dict[int, _Use]):
        def __setitem__(self, key: int, use: _Use) -> None:
            super().__setitem__(key, use)
            gc.collect()

        def pop(self, key: int, default: object = None) -> _Use | None:  # type: ignore[override]
            gc.collect()
            return super().pop(key, None)

    captures._uses = Uses()
    for name in ("beside", "alone", "opening"):
        InACircle(f"{name} begins")
        use: Callable[[], AbstractContextManager[bool]] = getattr(captures, name)
        with use():
            InACircle(f"{name} ends")
            gc.collect()
            assert f"{name} ends" not in done
    assert sorted(done) == sorted(
        f"{name} {what}" for name in ("beside", "alone", "opening") for what in ("begins", "ends")
    )
    assert not captures._uses


def test_what_a_job_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    captures, done = Captures(), []

    def fail() -> None:
        raise MemoryError("no room")

    with captures.beside():
        captures.afterwards(fail)
        captures.afterwards(lambda: done.append(1))
    assert done == [1]
    assert [record.getMessage() for record in caplog.records] == [
        "freeing memory of a device ended early: MemoryError: no room"
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("use", list(_Use))
def test_a_forked_process_waits_for_no_thread_of_its_parent(use: _Use) -> None:
    """The threads of `captures`, of the package, are those of the parent at the moment of the fork."""
    from distilforge.cuda.captures import captures

    captures._uses[-1] = use
    parent = os.getpid()
    captures._jobs.append(lambda: os.getpid() == parent or os._exit(3))
    try:
        with captures._lock:
            child = os.fork()
            if child == 0:
                for way in (captures.beside, captures.opening, captures.alone):
                    with way() as answer:
                        if not answer:
                            os._exit(2)
                os._exit(0)
    finally:
        captures._jobs.clear()
        del captures._uses[-1]
    end = time.monotonic() + 30
    status = (0, 0)
    while not status[0] and time.monotonic() < end:
        status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)
    if not status[0]:
        os.kill(child, 9)
    assert status == (child, 0)


def test_an_interrupt_as_a_block_begins_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = Captures()
    begin = captures._begin

    def interrupted(use: _Use) -> bool:
        begin(use)
        raise KeyboardInterrupt

    monkeypatch.setattr(captures, "_begin", interrupted)
    with pytest.raises(KeyboardInterrupt), captures.beside():
        pytest.fail("it was interrupted before")
    assert not captures._uses


def test_an_interrupt_as_a_job_ends_leaves_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The destructors that a job calls are in C, so that Ctrl-C comes in the next step of Python."""
    captures = Captures()
    interrupts: list[int] = []

    class Uses(dict[int, _Use]):
        def pop(self, key: int, default: object = None) -> _Use | None:  # type: ignore[override]
            if not interrupts:
                interrupts.append(1)
                raise KeyboardInterrupt
            return super().pop(key, None)

    captures._uses = Uses()
    with pytest.raises(KeyboardInterrupt):
        captures.afterwards(lambda: None)
    assert not captures._uses


def test_a_block_in_a_job_does_not_wait_for_it() -> None:
    captures, answers = Captures(), []

    def job() -> None:
        for use in (captures.beside, captures.opening, captures.alone):
            with use() as answer:
                answers.append(answer)

    captures.afterwards(job)
    assert answers == [True, True, True]
    assert not captures._uses


def test_a_wake_up_that_is_lost_delays_a_capture_alone() -> None:
    captures = Captures()
    captured: list[bool] = []

    def capture() -> None:
        with captures.alone() as may_capture:
            captured.append(may_capture)

    captures._begin(_Use.RUN)
    thread = Thread(target=capture)
    thread.start()
    end = time.monotonic() + 30
    while _Use.CAPTURE not in captures._uses.values():
        assert time.monotonic() < end
        time.sleep(0.001)
    # As Ctrl-C in the midst of the end of a block
    del captures._uses[get_ident()]
    thread.join(timeout=30)
    assert captured == [True]


def test_a_job_takes_no_lock() -> None:
    """Another thread may have it and wait for what this thread has, such as the lock of a handler of logging."""
    captures, done = Captures(), []
    with captures._lock:
        elsewhere(lambda: captures.afterwards(lambda: done.append(1)))
        assert done == [1]


def test_when_python_ends_jobs_wait_for_nobody() -> None:
    captures, done = Captures(), []
    with captures.alone():
        captures.afterwards(lambda: done.append(1))
        assert not done
        captures.hurry()
        assert done == [1]
        captures.afterwards(lambda: done.append(2))
    assert done == [1, 2]
