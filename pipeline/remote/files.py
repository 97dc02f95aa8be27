"""The files of a release that leave for a store."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distilforge import release as releases
from distilforge.errors import ReleaseError
from distilforge.manifest import FileRecord, Manifest
from distilforge.release import MANIFEST, SIGNATURE, STATEMENT
from distilforge.remote.index import StoredRelease

from pipeline.store import digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A whole release, which was checked."""

    folder: Path
    """The version's folder."""
    manifest: Manifest
    """Its manifest."""
    records: Mapping[str, FileRecord]
    """Every file of it: the listed ones, the manifest, and the signature with its statement if there is one."""

    @property
    def signature(self) -> dict[str, FileRecord]:
        """The signature's files."""
        return {name: self.records[name] for name in (STATEMENT, SIGNATURE) if name in self.records}

    def is_in(self, stored: StoredRelease | None) -> bool:
        """Whether `stored` is the same release, with the same signature."""
        return (
            stored is not None
            and stored.manifest == self.records[MANIFEST]
            and dict(stored.signature) == self.signature
        )

    def stored(self, location: str) -> StoredRelease:
        """The entry of a store's index for the release at `location`, pushed now."""
        return StoredRelease(
            name=self.manifest.name,
            version=self.manifest.version,
            location=location,
            created=self.manifest.provenance.created,
            # Readers of a registry, which keeps no order, sort by it
            pushed=datetime.now(UTC).isoformat(timespec="microseconds"),
            bytes=sum(record.bytes for record in self.records.values()),
            validated=self.manifest.validated,
            manifest=self.records[MANIFEST],
            signature=self.signature,
        )

    def pieces(self, name: str) -> Iterator[bytes]:
        """The content of the file `name`."""
        with (self.folder / name).open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece


_PIECE_BYTES = 4 << 20


def shipment(folder: Path) -> Shipment:
    """The release that `folder` names, a version's folder or the one above; ReleaseError if it is not whole.

    Files that the manifest does not list stay here.
    """
    root = releases.resolve(folder)
    manifest = releases.verify(root)
    own = [name for name in (STATEMENT, SIGNATURE) if (root / name).is_file()]
    records = dict(manifest.files)
    for name in (MANIFEST, *own):
        path = root / name
        records[name] = FileRecord(sha256=digests.of_file(path), bytes=path.stat().st_size)
    return Shipment(folder=root, manifest=manifest, records=records)


def changed(shipment: Shipment, name: str, sha256: str) -> ReleaseError:
    """The error for a file that has another digest than when it was checked."""
    return ReleaseError(
        f"{name!r} in {str(shipment.folder)!r} changed while it was pushed: SHA-256 should be "
        f"{shipment.records[name].sha256}, found {sha256}",
        hint="push it again when nothing writes to it; readers see nothing of this push",
    )
