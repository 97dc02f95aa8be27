"""A limited number of resources, each of which one thread at a time uses."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Generic, Protocol, TypeVar

from distilforge.errors import DistilforgeError

_logger = logging.getLogger("distilforge")


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Pool(Generic[T]):
    """At most `limit` resources, which `make` creates when they are needed; the last used is lent first.

    Where one cannot be created beside the others, they are as many as there can be, and `limit` becomes lower.
    """

    def __init__(self, make: Callable[[], T], limit: int) -> None:
        self._make = make
        self._free = threading.Semaphore(limit)
        self._lock = threading.Lock()
        self._idle: list[T] = []
        # Those that were created, or are being created, and are not closed
        self._count = 0
        self._closed = False
        self._has_warned = False

    @contextmanager
    def borrow(self) -> Iterator[T]:
        """Wait for a resource and lend it to this thread; one that raised an exception is closed and not lent again."""
        entry = self._waited_for()
        try:
            try:
                yield entry
            except BaseException:
                self._drop(entry)
                raise
            with self._lock:
                if not self._closed:
                    self._idle.append(entry)
                    return
            self._drop(entry)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close the idle resources now, and the others when they are returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        with ExitStack() as stack:
            for entry in idle:
                stack.callback(self._drop, entry)

    def _waited_for(self) -> T:
        """A resource that no other thread uses. Whoever returns it releases `_free`."""
        while True:
            self._free.acquire()
            with self._lock:
                if self._idle:
                    return self._idle.pop()
                self._count += 1
            try:
                return self._make()
            except BaseException as error:
                with self._lock:
                    self._count -= 1
                    others = self._count
                if not others or not isinstance(error, DistilforgeError):
                    self._free.release()
                    raise
                # `_free` is not released, so that nobody tries again what failed, and this thread waits for the others
                with self._lock:
                    has_warned, self._has_warned = self._has_warned, True
                if not has_warned:
                    _logger.warning(
                        "batches wait for each other, since one more at once fails: %s", error.message
                    )

    def _drop(self, entry: T) -> None:
        try:
            entry.close()
        finally:
            with self._lock:
                self._count -= 1
