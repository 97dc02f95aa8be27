"""A thread of its own for calls that must all be made in one thread."""

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import TypeVar

T = TypeVar("T")
_Job = Callable[[], None]


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
        future: Future[T] = Future()
        self._jobs.put(partial(_make, function, future))
        try:
            return future.result()
        finally:
            # An error that it holds holds this frame, and with it the caller's arrays
            del future


def _make(function: Callable[[], T], future: Future[T]) -> None:
    """Make a call, and let `future` have what it returns or raises."""
    try:
        result = function()
    # The caller gets whatever it is
    except BaseException as error:  # noqa: BLE001
        future.set_exception(error)
    else:
        future.set_result(result)
    finally:
        # As above
        del future


def _work(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
        # It refers to the caller's arrays
        del job
