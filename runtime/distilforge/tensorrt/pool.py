"""A limited number of resources, each of which one thread at a time uses."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Pool(Generic[T]):
    """At most `limit` resources, which `make` creates when they are needed; the last used is lent first."""

    def __init__(self, make: Callable[[], T], limit: int) -> None:
        self._make = make
        self._free = threading.Semaphore(limit)
        self._lock = threading.Lock()
        self._idle: list[T] = []
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[T]:
        """Wait for a resource and lend it to this thread; one that raised an exception is closed and not lent again."""
        with self._free:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            entry = self._make() if idle is None else idle
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
        """Close the idle resources now, and the others when they are returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for entry in idle:
            entry.close()
