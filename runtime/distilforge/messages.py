"""Messages on the standard error, which may be closed, full or a pipe without a reader."""

import os
import sys
from contextlib import suppress


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
        # Led to the null device, since Python would raise the error again when it flushes at its end
        with suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
