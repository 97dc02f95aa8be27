"""The SHA-256 of an output, as it is written and as it is read again."""

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO

from distilforge.storage import Place

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PIECE_BYTES = 4 << 20


class HashingFile(io.RawIOBase):
    """Writes to a file, and hashes what is written; closing it leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: "ReadableBuffer") -> int:
        self._sha256.update(content)
        return self._file.write(content)

    def hexdigest(self) -> str:
        """The SHA-256 of what was written, in hexadecimal digits."""
        return self._sha256.hexdigest()


def sha256(place: Place) -> str:
    """The SHA-256 of a file, in hexadecimal digits; the whole file is read."""
    digest = hashlib.sha256()
    with place.reader(from_start_to_end=True) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
