"""Requests that wait to be run, at most so many of them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from threading import Condition, Lock

from distilforge.batching.counts import BatchCounts
from distilforge.batching.options import BatchingOptions
from distilforge.batching.packing import pack
from distilforge.batching.requests import Request
from distilforge.errors import BusyError, UnavailableError


class RequestQueue:
    """A queue between the callers of a batched session and the thread that runs their requests."""

    def __init__(self, options: BatchingOptions, *, most_rows: int) -> None:
        """`most_rows` is the largest batch that a run may have."""
        self._options = options
        self._most_rows = most_rows
        self._waiting: list[Request] = []
        self._counts = BatchCounts()
        self._closed = False
        lock = Lock()
        self._arrival = Condition(lock)
        self._room = Condition(lock)

    @property
    def counts(self) -> BatchCounts:
        """The counts as they are now."""
        with self._arrival:
            return replace(self._counts, waiting=len(self._waiting))

    def count(self, change: Callable[[BatchCounts], BatchCounts]) -> None:
        """Replace the counts by what `change` returns for them."""
        with self._arrival:
            self._counts = change(self._counts)

    def put(self, request: Request, deadline: float | None) -> None:
        """Add a request; wait for room until `deadline`, by time.monotonic, if `when_full` is "wait".

        Raises BusyError if there is no room, UnavailableError if the queue was closed, and CancelledError if the
        request was cancelled meanwhile.
        """
        with self._room:
            while not self._closed and len(self._waiting) >= self._options.max_waiting:
                remaining = None if deadline is None else deadline - time.monotonic()
                if self._options.when_full == "error" or (remaining is not None and remaining <= 0):
                    self._counts = replace(self._counts, rejected=self._counts.rejected + 1)
                    raise BusyError(
                        f"{len(self._waiting)} requests wait already, and this session takes at most "
                        f"{self._options.max_waiting} (max_waiting)",
                        hint="ask again later",
                    )
                self._room.wait(remaining)
                if request.outputs.cancelled():
                    self._counts = replace(self._counts, cancelled=self._counts.cancelled + 1)
                    # It may have been woken for the room that another one can have
                    self._room.notify()
                    raise CancelledError
            if self._closed:
                raise UnavailableError("this batched session was closed", hint="make one: session.batched()")
            self._waiting.append(request)
            self._counts = replace(self._counts, requests=self._counts.requests + 1)
            self._arrival.notify()

    def drop(self, request: Request) -> None:
        """Take a request out for which nobody waits any more; nothing happens if it runs already."""
        with self._arrival:
            if request.outputs.cancel() and request in self._waiting:
                self._remove([request])
                self._counts = replace(self._counts, cancelled=self._counts.cancelled + 1)

    def wake(self) -> None:
        """Let those who wait for room look again whether they were cancelled."""
        with self._room:
            self._room.notify_all()

    def take(self) -> tuple[Request, ...]:
        """What to run next: nothing if the queue was closed and is empty.

        Waits until there is a full pack, or until the oldest request has waited for `max_delay`.
        """
        with self._arrival:
            while self._waiting or not self._closed:
                if not self._waiting:
                    self._arrival.wait()
                    continue
                now = time.monotonic()
                remaining = self._waiting[0].arrival + self._options.max_delay - now
                chosen = pack(
                    self._waiting,
                    most_rows=self._most_rows,
                    most_tokens=self._options.max_tokens,
                    most_padding=self._options.max_padding,
                )
                if remaining > 0 and not chosen.full and not self._closed:
                    self._arrival.wait(remaining)
                    continue
                self._remove(chosen.requests)
                running = tuple(
                    request for request in chosen.requests if request.outputs.set_running_or_notify_cancel()
                )
                cancelled = len(chosen.requests) - len(running)
                self._counts = replace(
                    self._counts,
                    cancelled=self._counts.cancelled + cancelled,
                    waiting_seconds=self._counts.waiting_seconds
                    + sum(now - request.arrival for request in running),
                )
                if running:
                    return running
            return ()

    def close(self) -> None:
        """Take no more requests; those that wait are still run."""
        with self._arrival:
            self._closed = True
            self._arrival.notify_all()
            self._room.notify_all()

    def _remove(self, requests: Sequence[Request]) -> None:
        gone = set(requests)
        self._waiting = [request for request in self._waiting if request not in gone]
        self._room.notify(len(gone))
