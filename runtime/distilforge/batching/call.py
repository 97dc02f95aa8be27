"""A call from asyncio, whose task may be cancelled while a thread does its work."""

from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock

from distilforge.batching.requests import Request


class Call:
    """Passes the cancellation of a task on to the request that its thread waits for."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called after a request was cancelled."""
        self._wake = wake
        self._lock = Lock()
        self._cancelled = False
        self._request: Request | None = None

    def begin(self, request: Request) -> None:
        """Make `request` the one that is cancelled with the call; it is cancelled at once if the call was."""
        with self._lock:
            self._request = request
            if self._cancelled:
                request.outputs.cancel()

    def cancel(self) -> None:
        """Cancel the present request, unless it runs already, and every later one."""
        with self._lock:
            self._cancelled = True
            if self._request is not None:
                self._request.outputs.cancel()
        self._wake()


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call that the present thread works for; None for a thread of the application."""
