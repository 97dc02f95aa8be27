"""A bounded number of things that one thread uses at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Pool(Generic[T]):
    """At most `limit` of what `make` returns, made when they are first needed, the last used handed out first."""

    def __init__(self, make: Callable[[], T], limit: int) -> None:
        self._make = make
        self._free = threading.Semaphore(limit)
        self._lock = threading.Lock()
        self._idle: list[T] = []
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[T]:
        """One of them, for this thread alone; waits for one. What failed is closed, and is not handed out again."""
        with self._free:
            with self._lock:
                found = self._idle.pop() if self._idle else None
            entry = self._make() if found is None else found
            try:
                yield entry
            except BaseException:
                entry.close()
                raise
            with self._lock:
                if not self._closed:
                    self._idle.append(entry)
                    return
            entry.close()

    def close(self) -> None:
        """Close those that are idle now, and the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for entry in idle:
            entry.close()
