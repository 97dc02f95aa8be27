"""One process at a time."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


@contextmanager
def only_one(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Wait until no other process is in a context of the file `path`, which is made and stays.

    `waiting` is called once if another process is. The operating system ends the context of a process that is killed.
    """
    with _opened(path) as descriptor:
        if not _lock(descriptor):
            waiting()
            while not _lock(descriptor):
                time.sleep(_POLL_SECONDS)
        yield


@contextmanager
def at_once(path: Path) -> Iterator[bool]:
    """As `only_one` without waiting: whether no other process is in a context of the file `path`."""
    with _opened(path) as descriptor:
        yield _lock(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        # Closing ends the lock
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock the file, unless another process has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Windows reports another process's lock as PermissionError
    except (BlockingIOError, PermissionError):
        return False
    return True
