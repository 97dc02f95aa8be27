"""Who may use a device while ONNX Runtime captures a CUDA graph: nobody else in this process.

ONNX Runtime captures in CUDA's global mode. Meanwhile other threads can neither allocate nor free nor copy nor wait,
and what they try breaks the capture.
"""

import enum
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, RLock, get_ident

_logger = logging.getLogger("distilforge")
_Job = Callable[[], object]


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
        self._jobs: deque[_Job] = deque()
        """What has to wait until a block ends."""
        self._unfreed: list[deque[_Job]] = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        # `with` on a Condition would let Ctrl-C in before it knows that it holds the lock
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._uses: dict[int, _Use] = {}
        """Of each thread that is in a block, and, by `~` of its number, of each that does jobs."""

    def beside(self) -> AbstractContextManager[bool]:
        """A run, which waits until nothing is captured; always True."""
        return self._after_captures(_Use.RUN)

    def opening(self) -> AbstractContextManager[bool]:
        """Loading a model, which waits until nothing is captured; it takes long, and nothing is captured meanwhile."""
        return self._after_captures(_Use.OPENING)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """A capture, which waits for all runs, and no other one begins before it; False if there may be none now."""
        try:
            yield self._begin_capture()
        finally:
            self._end()

    def afterwards(self, job: _Job) -> None:
        """Do `job`, which frees something on a device, now; or at the end of this thread's block, or of a capture.

        It may be called in the middle of anything, as by what Python collects, and waits for nothing. What `job` raises
        is only logged, since it may be done in anybody's block.
        """
        self._jobs.append(job)
        self._do_jobs()

    def forget_threads(self) -> None:
        """In a forked process, which has no other thread: nobody is in a block, and what waits is the parent's."""
        # Never destroyed, since a device works in the parent alone
        self._unfreed.append(self._jobs)
        self._jobs = deque()
        self._begin_anew()

    @contextmanager
    def _after_captures(self, use: _Use) -> Iterator[bool]:
        try:
            self._begin(use)
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
                self._leave(get_ident())
                raise
            return True

    def _wait_for_captures(self) -> None:
        self._leave(get_ident())
        self._changed.wait_for(lambda: _Use.CAPTURE not in self._uses.values())

    def _end(self) -> None:
        with self._lock:
            self._leave(get_ident())
        self._do_jobs()

    def _do_jobs(self) -> None:
        """Do the jobs that wait, unless they have to wait longer: whoever they wait for comes here afterwards."""
        thread = get_ident()
        while self._jobs and not self._is_busy(thread):
            try:
                with self._lock:
                    if _Use.CAPTURE in self._uses.values():
                        return
                    self._uses[~thread] = _Use.RUN
                self._do_next()
            finally:
                with self._lock:
                    self._leave(~thread)

    def _is_busy(self, thread: int) -> bool:
        """Whether this thread, of the number `thread`, is in a block or does a job, or begins or ends either."""
        has_lock: bool = self._lock._is_owned()  # type: ignore[attr-defined]
        return has_lock or thread in self._uses or ~thread in self._uses

    def _do_next(self) -> None:
        try:
            job = self._jobs.popleft()
        except IndexError:  # another thread was quicker
            return
        try:
            job()
        except Exception as error:  # noqa: BLE001
            _logger.warning("freeing memory of a device ended early: %s: %s", type(error).__name__, error)

    def _leave(self, key: int) -> None:
        if self._uses.pop(key, None) is not None:
            self._changed.notify_all()


captures = Captures()
"""Of this process."""

# Windows has no fork
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=captures.forget_threads)
