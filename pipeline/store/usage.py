"""A lock on a work folder: builds share it as long as they run, and `distilforge clean` needs it alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UsageError

LOCK = "in-use.lock"
"""The lock's file in the work folder."""


@contextmanager
def in_use(root: Path) -> Iterator[None]:
    """Keep `clean` from removing the work folder `root`, which is created if needed; several builds may do so at once.

    Raises UsageError if `root` cannot be written.
    """
    try:
        descriptor = _shared(root)
    except OSError as cause:
        raise unwritable(cause) from cause
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep builds from starting in the work folder `root`; UsageError if one runs."""
    descriptor = os.open(root / LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as cause:
        os.close(descriptor)
        raise busy(root) from cause
    try:
        yield
    finally:
        os.close(descriptor)


def busy(root: Path) -> UsageError:
    """The error for a work folder `root` that a build is using."""
    return UsageError(f"a build is using {root}", hint="wait for it to end, or stop it")


def unwritable(cause: OSError) -> UsageError:
    """The error for a work folder that cannot be written because of `cause`."""
    return UsageError(
        f"cannot write to the artifacts folder: {cause}", hint="choose a writable folder with --artifacts"
    )


def _shared(root: Path) -> int:
    """A descriptor of the lock's file, locked together with other builds."""
    while True:
        root.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(root / LOCK, os.O_RDONLY | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # `clean` removed the folder in between
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # `clean` may have removed the file while this process waited for the lock
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)
