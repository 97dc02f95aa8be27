"""Lines of a file, each of a limited length, so that no file can fill the memory."""

from collections.abc import Iterator
from typing import BinaryIO

from distilforge.errors import InputError

MOST_LINE_BYTES = 16 << 20
"""The longest line that is read, and the longest row of several lines."""
TOO_LONG = f"the row has more than {MOST_LINE_BYTES >> 20} MiB"
"""Why a longer one is not read."""
_BOM = b"\xef\xbb\xbf"
_BOMS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NOT_UTF_8 = "save the file as UTF-8"
"""What to do about bytes that are not UTF-8."""
LONE_RETURN = "a carriage return (CR) stands alone in it; a line must end in LF or CR LF"
"""What is wrong with lines that end as on old Macintoshes."""


def lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Every line of `file` with its end, and None for a line that has more than MOST_LINE_BYTES.

    Raises InputError for a file that begins as UTF-16 or UTF-32 do.
    """
    start = True
    while line := file.readline(MOST_LINE_BYTES + 1):
        if start:
            # Without a mark, one of the first two bytes is the zero of an ASCII character, which no text has in UTF-8
            if line.startswith(_BOMS_OF_UTF_16) or 0 in line[:2]:
                raise InputError(
                    f"the file begins with the bytes {line[:4].hex(' ')}: it is UTF-16 or UTF-32, and must be UTF-8",
                    hint=NOT_UTF_8,
                )
            line = line.removeprefix(_BOM)
            start = False
        if len(line) <= MOST_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MOST_LINE_BYTES)
        yield None
