"""What every kind of store can do for a reader."""

from collections.abc import Iterator
from typing import Protocol

from distilforge.errors import InputError
from distilforge.manifest import FileRecord
from distilforge.remote.index import Index, StoredRelease

REPAIR = "ask its publisher to run `distilforge push RELEASE --to URL --repair`"
"""The hint where a store has a damaged file."""


class Store(Protocol):
    """A place with the versions of one release. Its methods raise InputError where a request fails."""

    url: str
    """The address without credentials."""
    is_local: bool
    """Whether it is on a file system of this machine, where a second try of a request is of no use."""

    def index(self) -> Index | None:
        """What the store holds now; None if nothing was ever pushed there. Raises ReleaseError if it is damaged."""

    def find(self, *, channel: str | None, version: str | None) -> StoredRelease:
        """The release with `version`, or else the one that `channel` names; the channel `latest` without both.

        Raises InputError if there is no such version or channel, and ReleaseError if what is there is damaged.
        """

    def pieces(self, release: StoredRelease, name: str, record: FileRecord, offset: int) -> Iterator[bytes]:
        """The content of the release's file `name` from the byte `offset` on.

        Its digest is not checked. Raises ReleaseError where the store says that it has less than `record`.
        """


def no_releases(url: str) -> InputError:
    """The error for a place where nothing was ever pushed."""
    return InputError(
        f"there are no releases at {url!r:.200}",
        hint="look at the address; `distilforge push RELEASE --to URL` writes the first one",
    )


def read_index(store: Store) -> Index:
    """What `store` holds; InputError if nothing was ever pushed there."""
    index = store.index()
    if index is None:
        raise no_releases(store.url)
    return index
