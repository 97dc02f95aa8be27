"""Who may use a device while ONNX Runtime captures a CUDA graph: nobody else in this process.

ONNX Runtime captures in CUDA's global mode. Meanwhile other threads can neither allocate nor copy nor wait, and what
they try breaks the capture.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition


class Captures:
    """Lets runs go on together, and a capture alone. None of its blocks may be entered inside another one."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._runs = 0
        self._openings = 0
        self._captures = 0
        """Those that go on, or wait until they may."""

    @contextmanager
    def beside(self) -> Iterator[bool]:
        """A run, which waits until nothing is captured; always True."""
        with self._changed:
            self._changed.wait_for(lambda: not self._captures)
            self._runs += 1
        try:
            yield True
        finally:
            with self._changed:
                self._runs -= 1
                self._changed.notify_all()

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Loading a model, which waits until nothing is captured; it takes long, and nothing is captured meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._captures)
            self._openings += 1
        try:
            yield
        finally:
            with self._changed:
                self._openings -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """A capture, which waits for all runs, and no other one begins before it; False if there may be none now."""
        with self._changed:
            if self._openings:
                may_capture = False
            else:
                may_capture = True
                self._captures += 1
                self._wait_or_withdraw(lambda: not self._runs)
                self._runs += 1
        if not may_capture:
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._runs -= 1
                self._captures -= 1
                self._changed.notify_all()

    def _wait_or_withdraw(self, ready: Callable[[], bool]) -> None:
        """Wait until a capture is `ready`; Ctrl-C in a notebook must not leave the others waiting for it."""
        try:
            self._changed.wait_for(ready)
        except BaseException:
            self._captures -= 1
            self._changed.notify_all()
            raise


captures = Captures()
"""Of this process."""
