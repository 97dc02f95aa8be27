"""A pointer on a file system of this machine: a lock of the operating system, and a rename."""

import hashlib
from pathlib import Path

from distilforge.storage import Place, storage_errors
from filelock import FileLock

from pipeline.store import storage


class LocalPointer:
    """A file that is replaced by a rename, under a lock that ends with its process."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._path = Path(place.path)

    def read(self, most_bytes: int) -> tuple[bytes | None, str]:
        """The content and its digest."""
        content = self._place.read_at_most(most_bytes)
        return content, _token(content)

    def replace(self, content: bytes, token: str) -> bool:
        """Replace the file if its digest is `token`; what it names must be on the disk already."""
        with storage_errors(self._place.url, "written", OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_name(f".{self._path.name}.lock")):
                present = self._path.read_bytes() if self._path.exists() else None
                if _token(present) != token:
                    return False
                storage.replace_file(self._path, content)
        return True


def _token(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
