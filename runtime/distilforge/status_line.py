"""How far something is, on the standard error."""

import os
import sys
import time
from collections.abc import Callable

from distilforge import messages

_PAUSE_SECONDS = 0.2
_LOG_PAUSE_SECONDS = 30.0
_ERASE = "\r\x1b[K"
# Where a terminal does not say how wide it is
_COLUMNS = 80

Show = Callable[[object], None]
"""Receives how far something is; `StatusLine.show` is one."""


class StatusLine:
    """The last line of a terminal, written over and over; in a log, a new line every 30 seconds."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty()
        # What ends sooner needs no line in a log
        self._next = 0.0 if self._on_terminal else time.monotonic() + _LOG_PAUSE_SECONDS

    def show(self, text: object) -> None:
        """Show `text` in place of what was shown before, unless that was a moment ago."""
        if time.monotonic() < self._next:
            return
        if self._on_terminal:
            self._next = time.monotonic() + _PAUSE_SECONDS
            messages.write(f"{_ERASE}{str(text)[: _columns() - 1]}")
        else:
            self._next = time.monotonic() + _LOG_PAUSE_SECONDS
            messages.write(f"{text}\n")

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._on_terminal:
            messages.write(_ERASE)


def _columns() -> int:
    """The width of the terminal: only the last row of a text that is wider could be erased."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


def no_status(text: object) -> None:
    """Shows nothing; a `Show` for those who have no terminal."""


def clock(seconds: float) -> str:
    """`seconds` as hours:minutes:seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
