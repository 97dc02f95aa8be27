"""A store in a folder of any file system that fsspec knows: this machine's, S3, a web server, SFTP and others.

index.json                        the releases and the channels; the only file that changes
VERSION-TIME-RANDOM/              one folder for each push, with the release's files as they are
"""

from collections.abc import Iterator
from typing import BinaryIO

from distilforge.errors import InputError, ReleaseError
from distilforge.manifest import FileRecord
from distilforge.remote.index import INDEX, MOST_INDEX_BYTES, Index, StoredRelease, parse_index
from distilforge.remote.store import REPAIR, no_releases
from distilforge.storage import Place

PIECE_BYTES = 1 << 20
"""How much is read at once."""


class FolderStore:
    """The reader of a store in a folder."""

    def __init__(self, url: str) -> None:
        """Raises UnavailableError if the protocol needs a package that is not installed; InputError for others."""
        self._root = Place(url.rstrip("/"))
        self.url = self._root.url
        self.is_local = self._root.is_local

    def index(self) -> Index | None:
        """What the store holds now; None if nothing was ever pushed there."""
        place = self._file(INDEX)
        content = place.read_at_most(MOST_INDEX_BYTES)
        return None if content is None else parse_index(content, repr(place.url))

    def find(self, *, channel: str | None, version: str | None) -> StoredRelease:
        """The release with `version`, or else the one that `channel` names; the channel `latest` without both."""
        index = self.index()
        if index is None:
            raise no_releases(self.url)
        return index.find(self.url, channel=channel, version=version)

    def pieces(self, release: StoredRelease, name: str, record: FileRecord, offset: int) -> Iterator[bytes]:
        """The content of the release's file `name` from the byte `offset` on.

        Raises ReleaseError where it ends too early and the store says that it has no more.
        """
        place = self._file(f"{release.location}/{name}")
        end = offset
        for piece in self._pieces(place, offset):
            end += len(piece)
            yield piece
        if end < record.bytes and (size := place.size_bytes()) is not None and size < record.bytes:
            raise ReleaseError(
                f"{name!r} of {release.version} in {self.url!r:.200} is damaged: it should have {record.bytes:,} "
                f"bytes, and has {size:,}",
                hint=REPAIR,
            )

    def _pieces(self, place: Place, offset: int) -> Iterator[bytes]:
        if not place.is_on_web:
            with place.reader() as file:
                file.seek(offset)
                yield from _rest(file)
            return
        if offset:
            read = False
            try:
                with place.reader() as file:
                    file.seek(offset)
                    for piece in _rest(file):
                        read = True
                        yield piece
                return
            except InputError as error:
                cause = error.__cause__
                # What fsspec raises for a server that only has whole files, as the cause of an OSError
                if read or cause is None or not isinstance(cause.__cause__, ValueError):
                    raise
        with place.reader(from_start_to_end=True) as file:
            while offset and (skipped := file.read(min(offset, PIECE_BYTES))):
                offset -= len(skipped)
            yield from _rest(file)

    def _file(self, name: str) -> Place:
        place = self._root.inside(name)
        place.refuse_pipe()
        return place


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece
