"""Messages on the standard error, which may be closed, full or a pipe without a reader."""

import os
import sys
from contextlib import suppress
from typing import TextIO


def write(text: str) -> None:
    """Write `text` to the standard error; where that cannot be written, messages are lost and work continues."""
    stream = sys.stderr
    # Python has none if the descriptor is closed
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        with suppress(OSError):
            discard(stream)


def discard(stream: TextIO) -> None:
    """Lead `stream` to the null device; Python would raise the error of a write again when it flushes at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
