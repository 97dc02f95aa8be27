"""Downloads files into this user's cache, where each is kept under its SHA-256."""

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from distilforge import user_cache
from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.manifest import FileRecord
from distilforge.remote.index import StoredRelease
from distilforge.remote.progress import Meter
from distilforge.remote.retries import DELAYS_SECONDS, Pause, Tell, is_final
from distilforge.remote.store import REPAIR, Store
from distilforge.status_line import Show

_FOLDER = "releases"
_PART = ".part"
_READ_BYTES = 4 << 20
# What the file system of the cache needs besides
_SPARE_BYTES = 16 << 20


class Downloads:
    """The files of one release in a store, and the cache that they go through.

    A file that was cut short, by a killed process too, goes on where it was. Only one process may use the cache.
    """

    def __init__(
        self, store: Store, release: StoredRelease, tell: Tell, show: Show, *, pause: Pause = time.sleep
    ) -> None:
        """`show` receives how far the download is; raises UnavailableError if the cache cannot be trusted."""
        self._store = store
        self._release = release
        self._tell = tell
        self._pause = pause
        self._folder = cache_folder()
        self._meter = Meter(show)

    @property
    def downloaded_bytes(self) -> int:
        """How much was downloaded."""
        return self._meter.bytes

    def check_space(self, records: Collection[FileRecord], output: Path) -> None:
        """Raise UnavailableError unless the files that are absent from the cache fit on its disk, and all in `output`.

        Both folders may be on one disk.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        needed = sum(
            record.bytes - _size(self._part(record)) for record in records if not self._is_whole(record)
        )
        copies = sum(record.bytes for record in records)
        if self._folder.stat().st_dev == output.stat().st_dev:
            self._check_disk(self._folder, needed + copies)
        else:
            self._check_disk(self._folder, needed)
            self._check_disk(output, copies)
        self._meter.expect(needed)

    def _check_disk(self, folder: Path, needed: int) -> None:
        free = shutil.disk_usage(folder).free
        if needed + _SPARE_BYTES > free:
            raise UnavailableError(
                f"{self._release.version} in {self._store.url!r:.200} needs {needed:,} bytes on the disk of "
                f"{str(folder)!r:.300}, which has {free:,} bytes left",
                hint="make room; XDG_CACHE_HOME moves the cache to another disk",
            )

    def content(self, name: str, record: FileRecord, *, most_bytes: int) -> bytes:
        """The content of the small file `name`; ReleaseError if `record` allows more than `most_bytes`."""
        if record.bytes > most_bytes:
            raise ReleaseError(
                f"{name!r} of {self._release.version} in {self._store.url!r:.200} has {record.bytes:,} bytes; at most "
                f"{most_bytes:,} are allowed",
                hint="ask its publisher to push it again",
            )
        content = self._fetch(name, record).read_bytes()
        if hashlib.sha256(content).hexdigest() != record.sha256:
            # Somebody changed the cache
            content = self._fetch_again(name, record).read_bytes()
        return content

    def copy(self, name: str, record: FileRecord, destination: Path) -> None:
        """Write the file `name` to the new file `destination`, and flush it to the disk.

        What is written is what was hashed. Raises ReleaseError if the store has another content, and UnavailableError
        if it cannot be reached.
        """
        destination.parent.mkdir(parents=True, exist_ok=True)
        if _copy(self._fetch(name, record), destination) != record.sha256:
            # Somebody changed the cache
            again = _copy(self._fetch_again(name, record), destination)
            assert again == record.sha256, "the file was hashed when it was downloaded"

    def _fetch_again(self, name: str, record: FileRecord) -> Path:
        self._tell(f"{name}: the copy in the cache is damaged and is downloaded again")
        self._path(record).unlink(missing_ok=True)
        return self._fetch(name, record)

    def _fetch(self, name: str, record: FileRecord) -> Path:
        """The file in the cache, downloaded if it is not there."""
        path = self._path(record)
        with writing(self._folder):
            if not self._is_whole(record):
                self._download(name, record).replace(path)
        return path

    def _download(self, name: str, record: FileRecord) -> Path:
        """The whole file, under the name of a part; ReleaseError if the store has another content."""
        part = self._part(record)
        resumed = _size(part)
        if resumed:
            self._tell(f"{name}: continuing at {resumed:,} of {record.bytes:,} bytes")
        sha256 = self._complete(name, record, part)
        if sha256 != record.sha256 and resumed:
            # The part may be older than what the store has now, or damaged
            self._tell(f"{name}: what was there before does not fit, starting again")
            part.unlink()
            sha256 = self._complete(name, record, part)
        if sha256 != record.sha256:
            part.unlink()
            raise ReleaseError(
                f"{name!r} of {self._release.version} in {self._store.url!r:.200} is damaged: SHA-256 should be "
                f"{record.sha256}, found {sha256}",
                hint=f"nothing of it was kept; {REPAIR}",
            )
        return part

    def _complete(self, name: str, record: FileRecord, part: Path) -> str:
        """Download what `part` lacks, and return the SHA-256 of all of it; the network's errors are tried again."""
        for seconds in (*DELAYS_SECONDS, None):
            try:
                return self._append(name, record, part)
            except InputError as error:
                if self._store.is_local or is_final(error):
                    raise
                if seconds is None:
                    raise UnavailableError(
                        f"{error.message}; tried {len(DELAYS_SECONDS) + 1} times, {_size(part):,} of {record.bytes:,} "
                        "bytes are there",
                        hint="look at the network, and run the same command again: it continues where it was",
                    ) from error
                self._tell(f"{error.message}; continuing in {seconds:g} s")
                self._pause(seconds)
        raise AssertionError("the last try returns or raises")

    def _append(self, name: str, record: FileRecord, part: Path) -> str:
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("a+b") as file:
            if file.tell() > record.bytes:
                file.truncate(0)
            digest, offset = _digest(file), file.tell()
            try:
                if offset < record.bytes:
                    for piece in self._store.pieces(self._release, name, record, offset):
                        offset += len(piece)
                        self._meter.add(len(piece))
                        if offset > record.bytes:
                            break
                        file.write(piece)
                        digest.update(piece)
            except ReleaseError:
                part.unlink()
                raise
            file.flush()
            os.fsync(file.fileno())
        if offset > record.bytes:
            part.unlink()
            raise ReleaseError(
                f"{name!r} of {self._release.version} in {self._store.url!r:.200} is damaged: it should have "
                f"{record.bytes:,} bytes, and has more",
                hint=f"nothing of it was kept; {REPAIR}",
            )
        # A store that knows the size has said if it has no more, so that this is the network's fault
        if offset < record.bytes:
            raise InputError(
                f"{name!r} of {self._store.url!r:.200} ended after {offset:,} of {record.bytes:,} bytes",
                hint="run the same command again; if it ends there again, its publisher has to push it again",
            ) from EOFError(offset)
        return digest.hexdigest()

    def _path(self, record: FileRecord) -> Path:
        return self._folder / record.sha256

    def _part(self, record: FileRecord) -> Path:
        return self._folder / f"{record.sha256}{_PART}"

    def _is_whole(self, record: FileRecord) -> bool:
        return self._path(record).is_file() and _size(self._path(record)) == record.bytes


class FolderError(InputError):
    """A folder of this machine cannot be written."""


@contextmanager
def writing(folder: Path, hint: str = "") -> Iterator[None]:
    """Raise whatever the operating system refuses as FolderError, which names `folder`; `hint` is added to its own."""
    try:
        yield
    except OSError as cause:
        raise FolderError(
            f"{str(folder)!r:.300} cannot be written: {cause!s:.300}",
            hint="look at its permissions and the space left" + hint,
        ) from cause


def cache_folder() -> Path:
    """Where downloaded files are kept by their SHA-256."""
    return user_cache.folder(_FOLDER)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _digest(file: BinaryIO) -> "hashlib._Hash":
    """The digest of all of `file`, whose position is its end afterwards."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_READ_BYTES):
        digest.update(piece)
    return digest


def _copy(source: Path, destination: Path) -> str:
    """Copy a file, flush it to the disk, and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as file, destination.open("wb") as copy:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()
