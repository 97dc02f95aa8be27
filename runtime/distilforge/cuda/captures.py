"""Who may use a device while ONNX Runtime captures a CUDA graph: nobody else in this process.

ONNX Runtime captures in CUDA's global mode. Meanwhile other threads can neither allocate nor free nor copy nor wait,
and what they try breaks the capture.
"""

import atexit
import enum
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import Condition, RLock, get_ident

_logger = logging.getLogger("distilforge")
_Job = Callable[[], object]


class _Use(enum.Enum):
    RUN = enum.auto()
    OPENING = enum.auto()
    CAPTURE = enum.auto()
    """One that goes on, or that waits until it may."""


_LONGEST_WAIT_SECONDS = 0.01
"""Until whoever waits looks again: jobs tell nobody that they are done, and Ctrl-C may end what would tell it."""


class Captures:
    """Lets runs go on together, and a capture alone.

    A thread is in one block at a time. Ctrl-C may come at any moment, also between a block and its end, so that a
    thread that begins another one is no longer in the one before.
    """

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        """What has to wait until a block ends."""
        self._unfreed: list[deque[_Job]] = []
        self._hurries = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        # `with` on a Condition would let Ctrl-C in before it knows that it holds the lock
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._uses: dict[int, _Use] = {}
        """Of each thread that is in a block, or does a job."""

    def beside(self) -> AbstractContextManager[bool]:
        """A run, which waits until nothing is captured; always True."""
        return self._block(lambda: self._begin(_Use.RUN))

    def opening(self) -> AbstractContextManager[bool]:
        """Loading a model, which waits until nothing is captured; it takes long, and nothing is captured meanwhile."""
        return self._block(lambda: self._begin(_Use.OPENING))

    def alone(self) -> AbstractContextManager[bool]:
        """A capture, which waits for all runs, and no other one begins before it; False if there may be none now."""
        return self._block(self._begin_capture)

    def afterwards(self, job: _Job) -> None:
        """Do `job`, which frees something on a device, now; or at the end of this thread's block, or of a capture.

        It may be called in the middle of anything, as by what Python collects, and waits for nothing. What `job` raises
        is only logged, since it may be done in anybody's block.
        """
        self._jobs.append(job)
        self._do_jobs()

    def hurry(self) -> None:
        """Do all jobs from now on at once, whatever is captured: Python ends."""
        self._hurries = True
        self._do_jobs()

    def forget_threads(self) -> None:
        """In a forked process, which has no other thread: nobody is in a block, and what waits is the parent's."""
        # Never destroyed, since a device works in the parent alone
        self._unfreed.append(self._jobs)
        self._jobs = deque()
        self._begin_anew()

    @contextmanager
    def _block(self, begin: Callable[[], bool]) -> Iterator[bool]:
        try:
            yield begin()
        finally:
            try:
                self._leave()
            finally:
                # Ctrl-C may have ended the first
                self._leave()
            self._do_jobs()

    def _begin(self, use: _Use) -> bool:
        with self._lock:
            self._wait_for_captures()
            self._uses[get_ident()] = use
            return True

    def _begin_capture(self) -> bool:
        with self._lock:
            self._wait_for_captures()
            # After the wait, in which a release may have begun to open
            if _Use.OPENING in self._uses.values():
                return False
            self._uses[get_ident()] = _Use.CAPTURE
            self._wait_until_none(_Use.RUN)
            return True

    def _wait_for_captures(self) -> None:
        self._leave()
        self._wait_until_none(_Use.CAPTURE)

    def _wait_until_none(self, use: _Use) -> None:
        while not self._changed.wait_for(lambda: use not in self._uses.values(), _LONGEST_WAIT_SECONDS):
            pass

    def _leave(self) -> None:
        with self._lock:
            self._changed.notify_all()
            self._uses.pop(get_ident(), None)

    def _do_jobs(self) -> None:
        """Do the jobs that wait, unless they have to wait longer: whoever they wait for comes here afterwards.

        The lock is not taken, since this thread may have it in the middle of anything. A capture that begins at the
        same time sees that this thread is at work, or is seen here: each first says what it does, and then looks.
        """
        thread = get_ident()
        while self._jobs and (self._hurries or thread not in self._uses):
            try:
                self._uses[thread] = _Use.RUN
                if _Use.CAPTURE in self._uses.values() and not self._hurries:
                    return
                self._do_next()
            finally:
                try:
                    self._uses.pop(thread, None)
                finally:
                    # As above
                    self._uses.pop(thread, None)

    def _do_next(self) -> None:
        try:
            job = self._jobs.popleft()
        except IndexError:  # another thread was quicker
            return
        try:
            job()
        except Exception as error:  # noqa: BLE001
            _logger.warning("freeing memory of a device ended early: %s: %s", type(error).__name__, error)


captures = Captures()
"""Of this process."""


@cache
def free_at_exit() -> None:
    """Do jobs at once when Python ends. To be called when there is a finalizer, so that Python does this before it."""
    atexit.register(captures.hurry)


# Windows has no fork
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=captures.forget_threads)
