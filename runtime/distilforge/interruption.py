"""Ctrl-C while a command is imported, and while Python ends."""

import os
import signal
from collections.abc import Callable

INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT."""

Command = Callable[[], int | None]


def run_interruptible(load: Callable[[], Command]) -> int | None:
    """Call the command that `load` imports, and return its exit code, or INTERRUPTED after Ctrl-C.

    The process must end next: from then on, Ctrl-C does nothing, or ends it at once if it came before.
    """
    # A shell lets what it starts in the background ignore Ctrl-C
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, _end)
    command = load()
    try:
        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return command()
        finally:
            _answer_with(signal.SIG_IGN)
    except KeyboardInterrupt:
        # A second one, while the command cleaned up: Python may have to wait for threads, which one more must end
        _answer_with(_end)
        return INTERRUPTED


def _end(number: int, frame: object) -> None:
    """End at once.

    While packages are imported, there is nothing to undo, and they make other errors of an exception.
    """
    os._exit(INTERRUPTED)


def _answer_with(handler: signal.Handlers | Callable[[int, object], None]) -> None:
    """Answer Ctrl-C with `handler` while Python ends: by itself, Python would kill the process."""
    signal.signal(signal.SIGINT, handler)
    # If Ctrl-C came while a text was executed, as dataclasses do, Python kills itself at its end, whatever caught it.
    # The next text that is executed makes it forget that
    exec("")  # noqa: S102 - a text of our own
