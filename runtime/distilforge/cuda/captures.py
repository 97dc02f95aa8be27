"""Who may use a device while ONNX Runtime captures a CUDA graph: nobody else in this process.

ONNX Runtime captures in CUDA's global mode. Meanwhile other threads can neither allocate nor copy nor wait, and what
they try breaks the capture.
"""

import enum
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, Lock, get_ident


class _Use(enum.Enum):
    RUN = enum.auto()
    OPENING = enum.auto()
    CAPTURE = enum.auto()
    """One that goes on, or that waits until it may."""


class Captures:
    """Lets runs go on together, and a capture alone.

    A thread is in one block at a time. Ctrl-C may come at any moment, also between a block and its end, so that a
    thread that begins another one is no longer in the one before.
    """

    def __init__(self) -> None:
        # `with` on a Condition would let Ctrl-C in before it knows that it holds the lock
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._uses: dict[int, _Use] = {}
        """Of each thread that is in a block."""

    def beside(self) -> AbstractContextManager[bool]:
        """A run, which waits until nothing is captured; always True."""
        return self._after_captures(_Use.RUN)

    def opening(self) -> AbstractContextManager[bool]:
        """Loading a model, which waits until nothing is captured; it takes long, and nothing is captured meanwhile."""
        return self._after_captures(_Use.OPENING)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """A capture, which waits for all runs, and no other one begins before it; False if there may be none now."""
        if not self._begin_capture():
            yield False
            return
        try:
            yield True
        finally:
            self._end()

    @contextmanager
    def _after_captures(self, use: _Use) -> Iterator[bool]:
        self._begin(use)
        try:
            yield True
        finally:
            self._end()

    def _begin(self, use: _Use) -> None:
        with self._lock:
            self._wait_for_captures()
            self._uses[get_ident()] = use

    def _begin_capture(self) -> bool:
        with self._lock:
            self._wait_for_captures()
            # After the wait, in which a release may have begun to open
            if _Use.OPENING in self._uses.values():
                return False
            self._uses[get_ident()] = _Use.CAPTURE
            try:
                self._changed.wait_for(lambda: _Use.RUN not in self._uses.values())
            except BaseException:
                self._leave()
                raise
            return True

    def _wait_for_captures(self) -> None:
        self._leave()
        self._changed.wait_for(lambda: _Use.CAPTURE not in self._uses.values())

    def _end(self) -> None:
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._uses.pop(get_ident(), None) is not None:
            self._changed.notify_all()


captures = Captures()
"""Of this process."""
