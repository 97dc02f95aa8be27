"""What a store has of a release, held against the release itself."""

import hashlib
import time

from distilforge.errors import InputError, ReleaseError
from distilforge.manifest import FileRecord
from distilforge.remote.index import StoredRelease
from distilforge.remote.retries import Pause, Tell, with_retries
from distilforge.remote.store import Store

from pipeline.errors import UsageError
from pipeline.remote.files import Shipment


def damaged_files(
    store: Store, stored: StoredRelease | None, release: Shipment, tell: Tell, *, pause: Pause = time.sleep
) -> tuple[str, ...]:
    """The files of `release` that are absent from `store` or have another content there; all of it is read.

    `stored` is what the store lists. Raises UsageError unless that is `release`, with the same signature, and
    UnavailableError if the store cannot be reached.
    """
    if not release.is_in(stored):
        version = release.manifest.version
        there = "does not have" if stored is None else "has another build or signature of"
        raise UsageError(
            f"{store.url!r:.200} {there} {version}, so that there is nothing to repair",
            hint="push it without --repair",
        )
    assert stored is not None
    damaged = []
    for name, record in release.records.items():
        tell(f"{name}: checking {record.bytes / 1e6:,.1f} MB in {store.url}")

        def is_whole(name: str = name, record: FileRecord = record) -> bool:
            return _is_whole(store, stored, name, record)

        if not (is_whole() if store.is_local else with_retries(is_whole, tell, pause=pause)):
            tell(f"{name}: damaged or absent")
            damaged.append(name)
    return tuple(damaged)


def _is_whole(store: Store, stored: StoredRelease, name: str, record: FileRecord) -> bool:
    digest, size = hashlib.sha256(), 0
    try:
        for piece in store.pieces(stored, name, record, 0):
            digest.update(piece)
            size += len(piece)
            if size > record.bytes:
                return False
    except ReleaseError:
        return False
    except InputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise
    return digest.hexdigest() == record.sha256
