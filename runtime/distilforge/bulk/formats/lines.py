"""Lines of a file, each of a limited length, so that no file can fill the memory."""

from collections.abc import Iterator
from typing import BinaryIO

MOST_LINE_BYTES = 16 << 20
"""The longest line that is read, and the longest row of several lines."""
TOO_LONG = f"the row has more than {MOST_LINE_BYTES >> 20} MiB"
"""Why a longer one is not read."""
_BOM = b"\xef\xbb\xbf"


def lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Every line of `file` with its end, and None for a line that has more than MOST_LINE_BYTES."""
    start = True
    while line := file.readline(MOST_LINE_BYTES + 1):
        if start:
            line = line.removeprefix(_BOM)
            start = False
        if len(line) <= MOST_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MOST_LINE_BYTES)
        yield None
