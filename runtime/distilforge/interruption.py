"""Ctrl-C while a command is imported, and while Python ends."""

import os
import signal
from collections.abc import Callable

INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT."""

Command = Callable[[], int | None]


def run_interruptible(load: Callable[[], Command]) -> int | None:
    """Call the command that `load` imports, and return its exit code, or INTERRUPTED after Ctrl-C.

    The process must end next: from then on, Ctrl-C does nothing.
    """
    # A shell lets what it starts in the background ignore Ctrl-C
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, _end)
    command = load()
    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            return command()
        finally:
            _ignore()
    except KeyboardInterrupt:
        # Perhaps a second one, before it was ignored
        _ignore()
        return INTERRUPTED


def _end(number: int, frame: object) -> None:
    """End at once: there is nothing to undo, and packages make other errors of an exception while they are imported."""
    os._exit(INTERRUPTED)


def _ignore() -> None:
    """Ignore Ctrl-C, which would kill the process while Python ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # If Ctrl-C came while a text was executed, as dataclasses do, Python kills itself at its end, whatever caught it.
    # The next text that is executed makes it forget that
    exec("")  # noqa: S102 - a text of our own
