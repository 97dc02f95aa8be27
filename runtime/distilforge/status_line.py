"""One line on a terminal that says how far something is."""

import sys
import time

_PAUSE_SECONDS = 0.2
_ERASE = "\r\x1b[K"


class StatusLine:
    """The last line of the standard error, written over and over; nothing is written unless that is a terminal."""

    def __init__(self) -> None:
        self._shows = sys.stderr is not None and sys.stderr.isatty()
        self._next = 0.0

    def show(self, text: object) -> None:
        """Show `text` in place of what was shown before; a few times a second is enough."""
        if self._shows and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE_SECONDS
            sys.stderr.write(f"{_ERASE}{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._shows:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
