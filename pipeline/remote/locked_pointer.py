"""A pointer on any other file system: a file that only one writer can create is the lock."""

import getpass
import hashlib
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from distilforge.errors import UnavailableError
from distilforge.storage import Place, storage_errors

WAIT_SECONDS = 20.0
"""How long a writer waits for another one; replacing takes less than a second."""
_POLL_SECONDS = 0.2


class LockedPointer:
    """A file that is replaced by a rename, or by a copy that appears at once, while `NAME.lock` exists."""

    def __init__(self, place: Place, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._place = place
        self._lock = place.beside(".lock")
        self._wait_seconds = wait_seconds

    def read(self, most_bytes: int) -> tuple[bytes | None, str]:
        """The content and its digest."""
        content = self._place.read_at_most(most_bytes)
        return content, _token(content)

    def replace(self, content: bytes, token: str) -> bool:
        """Replace the file if its digest is `token`."""
        temporary = self._place.beside(".new")
        with self._locked():
            _, present = self.read(len(content) + (64 << 20))
            if present != token:
                return False
            temporary.write(content)
            with storage_errors(self._place.url, "written"):
                self._place.file_system.mv(temporary.path, self._place.path)
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Create the lock's file; UnavailableError if another writer has it for too long."""
        ends = time.monotonic() + self._wait_seconds
        while not self._create():
            if time.monotonic() > ends:
                owner = (self._lock.read_at_most(1_000) or b"nobody any more").decode("utf-8", "replace")
                raise UnavailableError(
                    f"{self._lock.url!r:.200} is there, written by {owner:.200}: another publisher works on the store, "
                    "or was ended while it did",
                    hint="wait for it; if it does not run any more, remove that file",
                )
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self._lock.remove()

    def _create(self) -> bool:
        owner = f"{getpass.getuser()} on {platform.node()} at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        files = self._lock.file_system
        with storage_errors(self._lock.url, "written"):
            self._lock.make_parent()
            try:
                files.pipe_file(self._lock.path, owner.encode(), mode="create")
            except FileExistsError:
                return False
        return True


def _token(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
