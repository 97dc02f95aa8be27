"""A session whose callers are answered together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

from distilforge.batching.call import Call, current_call
from distilforge.batching.counts import BatchCounts
from distilforge.batching.engine import BatchingEngine
from distilforge.batching.options import BatchingOptions
from distilforge.errors import BusyError, UnavailableError

S = TypeVar("S", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")


class Batcher(Generic[S]):
    """Answers the calls of many threads and asyncio tasks together; `Session.batched` makes it.

    A context manager, also for `async with`: it is closed at the end.
    """

    def __init__(self, session: S, engine: BatchingEngine) -> None:
        """Applications call `Session.batched` instead."""
        self.session = session
        """A session of the head's class, for any number of threads; its calls are answered together."""
        self._engine = engine
        # Each waits in a thread, which costs some ten kilobytes
        self._threads = ThreadPoolExecutor(engine.options.max_waiting, thread_name_prefix="distilforge-call")
        self._lock = Lock()
        self._closed = False
        self._calls = 0

    @property
    def counts(self) -> BatchCounts:
        """What was done so far; `distilforge.batching.prometheus` shows it to Prometheus."""
        return self._engine.counts

    @property
    def options(self) -> BatchingOptions:
        """How callers are answered together."""
        return self._engine.options

    async def answer(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call `function`, such as `batcher.session`, in a thread, as `asyncio.to_thread` does; return its result.

        At most `max_waiting` calls have a thread at the same time. If the task is cancelled, what waits for the engine
        is dropped before it runs.

        Raises what `function` raises; BusyError if no thread is free and `when_full` is "error"; UnavailableError
        after `close`.
        """
        call = Call(self._engine.wake)
        context = copy_context()
        context.run(current_call.set, call)
        with self._lock:
            if self._closed:
                raise UnavailableError("this batched session was closed", hint="make one: session.batched()")
            if self._engine.options.when_full == "error" and self._calls >= self._engine.options.max_waiting:
                raise BusyError(
                    f"{self._calls} calls are in progress, and this session takes at most "
                    f"{self._engine.options.max_waiting} (max_waiting)",
                    hint="ask again later",
                )
            future = self._threads.submit(context.run, partial(function, *arguments, **options))
            self._calls += 1
        future.add_done_callback(self._done)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            call.cancel()
            raise

    def close(self) -> None:
        """Take no more calls, answer those of `answer` and what waits for the engine, and end the threads.

        A list of many texts in another thread is not one request but several: those that it has not made yet are
        UnavailableError.
        """
        with self._lock:
            self._closed = True
        self._threads.shutdown()
        self._engine.close()

    def __enter__(self) -> "Batcher[S]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> "Batcher[S]":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def _done(self, _: object) -> None:
        with self._lock:
            self._calls -= 1
