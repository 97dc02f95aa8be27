"""A thread of its own for calls that must all be made in one thread."""

import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import TypeVar, cast

T = TypeVar("T")
_Job = Callable[[], None]
_Answer = tuple[T | None, BaseException | None]


class WorkerThread:
    """Makes the calls that it is given, one after another, until nothing refers to it any more.

    ThreadPoolExecutor takes no calls once the main thread has ended, which other threads may outlive.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
        self._thread.start()
        weakref.finalize(self, self._jobs.put, None).atexit = False

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises in the thread."""
        # Such as in what Python collects there
        if current_thread() is self._thread:
            return function()
        # Not a Future: it is locked while whoever waits for it is interrupted by a signal handler, which may call too
        answers: SimpleQueue[_Answer[T]] = SimpleQueue()
        self._jobs.put(partial(_make, function, answers))
        result, error = answers.get()
        if error is None:
            return cast("T", result)
        try:
            raise error
        finally:
            # It holds this frame, and with it the caller's arrays
            del error


def _make(function: Callable[[], T], answers: "SimpleQueue[_Answer[T]]") -> None:
    """Make a call, and answer what it returns or raises."""
    try:
        result = function()
    # The caller gets whatever it is
    except BaseException as error:  # noqa: BLE001
        answers.put((None, error))
    else:
        answers.put((result, None))


def _work(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
        # It refers to the caller's arrays
        del job
