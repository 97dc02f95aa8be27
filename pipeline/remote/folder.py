"""Publishes to a store in a folder of any file system that fsspec knows. distilforge.remote.folder has its layout."""

import hashlib
import random
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from distilforge.errors import InputError, ReleaseError, UnavailableError
from distilforge.remote.folder import FolderStore
from distilforge.remote.index import (
    INDEX,
    LATEST,
    MOST_INDEX_BYTES,
    MOST_REVISIONS,
    Index,
    StoredRelease,
    parse_index,
)
from distilforge.remote.retries import DELAYS_SECONDS, Pause, Tell, is_final, with_retries
from distilforge.remote.store import no_releases
from distilforge.storage import Place

from pipeline.errors import UsageError
from pipeline.remote import edits
from pipeline.remote.damage import damaged_files
from pipeline.remote.files import Shipment, changed
from pipeline.remote.pointer import find_pointer
from pipeline.remote.publisher import ChannelChange, Prune, Push, check_name
from pipeline.store import storage

T = TypeVar("T")

_TRIES = 50
_TIME = "%Y%m%dT%H%M%SZ"
_FOLDER = re.compile(r"[0-9a-f]{12}-(\d{8}T\d{6}Z)-[0-9a-f]{8}")
# A push that takes longer is not listed, so that a pruner may remove what is older and not listed. The time between is
# how far the clocks of two machines may differ
_LONGEST_PUSH = timedelta(hours=12)
_LEFTOVER = timedelta(hours=24)


class FolderPublisher:
    """The publisher of a store in a folder."""

    def __init__(self, url: str, tell: Tell, *, pause: Pause = time.sleep) -> None:
        """`tell` receives a line for each file, and for each new try."""
        self._root = Place(url.rstrip("/"))
        if self._root.is_on_web:
            raise InputError(
                f"releases can only be pulled from the web, not brought to it, found {self._root.url!r:.200}",
                hint="push to where the web server has its files, such as s3://bucket/sentiment or a folder",
            )
        self._index_place = self._root.inside(INDEX)
        self._pointer = find_pointer(self._index_place)
        self._tell = tell
        self._pause = pause
        self.url = self._root.url

    def check(self, name: str) -> None:
        """Read the index once."""
        present, _ = self._read()
        if present is not None:
            check_name(present.name, name, self.url)

    def _check_apart(self, release: Path) -> None:
        """Raise UsageError for a store in the folder of a release, where every file must be listed."""
        if self._root.is_local and Path(self._root.path).resolve().is_relative_to(release.resolve()):
            raise UsageError(
                f"the store {self.url!r:.200} is inside the release {str(release)!r:.200}, where every file must be "
                "listed",
                hint="push to another folder",
            )

    def push(self, release: Shipment) -> Push:
        """Write the release's files to a new folder, and then list that; nobody sees it before."""
        self._check_apart(release.folder)
        manifest = release.manifest
        present, _ = self._read()
        if present is not None:
            check_name(present.name, manifest.name, self.url)
        if present is not None and release.is_in(present.get(manifest.version)):
            new, stored = False, present.get(manifest.version)
            assert stored is not None
        else:
            new, stored = True, self._bring(release)

        def edit(index: Index | None) -> Index:
            base = index or Index(name=manifest.name)
            check_name(base.name, manifest.name, self.url)
            # Another publisher may have pushed the same release meanwhile, or a pruner removed it
            if not new and stored not in base.releases:
                raise ReleaseError(
                    f"{manifest.version} was removed from {self.url!r:.200} while it was pushed",
                    hint="push it again",
                )
            return edits.with_release(base, stored)

        index = self._change(edit)
        return Push(
            url=self.url,
            name=manifest.name,
            version=manifest.version,
            new=new,
            latest=index.channels[LATEST].version == manifest.version,
        )

    def repair(self, release: Shipment) -> Push:
        """Write all files of a damaged release to a new folder, and list that; `prune` removes the old one."""
        version = release.manifest.version
        index, _ = self._read()
        stored = None if index is None else index.get(version)
        store = FolderStore(self._root.address)
        damaged = damaged_files(store, stored, release, self._tell, pause=self._pause)
        assert index is not None, "damaged_files found it to be there"
        assert stored is not None, "so is its entry"
        if damaged:
            whole = self._bring(release)
            index = self._change(lambda now: edits.repaired(_existing(now, self.url), stored, whole))
        return Push(
            url=self.url,
            name=index.name,
            version=version,
            new=bool(damaged),
            latest=index.channels[LATEST].version == version,
        )

    def promote(self, version: str, channel: str) -> ChannelChange:
        """Make `channel` name `version`."""
        return self._move(channel, lambda index: edits.promoted(index, version, channel))

    def rollback(self, channel: str) -> ChannelChange:
        """Make `channel` name the version that it named before."""
        return self._move(channel, lambda index: edits.rolled_back(index, channel))

    def prune(self, keep: int) -> Prune:
        """Take old releases from the index, and then remove their folders, and those of pushes that were killed."""
        prunings: list[edits.Pruning] = []

        def edit(index: Index | None) -> Index:
            prunings.append(edits.pruned(_existing(index, self.url), keep))
            return prunings[-1].index

        index = self._change(edit)
        listed = {release.location for release in index.releases}
        removed = {release.location for release in prunings[-1].removed}
        leftovers = {
            name for name in self._root.names() if name not in listed | removed and _is_leftover(name)
        }
        for name in sorted(removed | leftovers):
            self._tell(f"removing {self._root.inside(name).url}")
            try:
                self._retried(self._root.inside(name).remove_folder)
            except InputError as error:
                # Another pruner was faster
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
        return Prune(
            url=self.url,
            removed=tuple(release.version for release in prunings[-1].removed),
            protected=prunings[-1].protected,
            leftovers=len(leftovers),
        )

    def _move(self, channel: str, edit: Callable[[Index], Index]) -> ChannelChange:
        before: list[str | None] = []

        def edit_and_remember(index: Index | None) -> Index:
            present = _existing(index, self.url)
            before.append(present.channels[channel].version if channel in present.channels else None)
            return edit(present)

        index = self._change(edit_and_remember)
        return ChannelChange(
            url=self.url, channel=channel, version=index.channels[channel].version, before=before[-1]
        )

    def _bring(self, release: Shipment) -> StoredRelease:
        """Write the release's files to a new folder, and return the entry for it, which is not listed yet."""
        stored = release.stored(_new_folder(release.manifest.version))
        began = datetime.now(UTC)
        try:
            self._upload(release, stored.location)
        except BaseException:
            # Nobody else knows the folder; what fails here too is left for prune
            with suppress(InputError, UnavailableError):
                self._root.inside(stored.location).remove_folder()
            raise
        if datetime.now(UTC) - began > _LONGEST_PUSH:
            raise UnavailableError(
                f"the push to {self.url!r:.200} took more than {_LONGEST_PUSH}, and is not listed",
                hint="push over a faster network",
            )
        return stored

    def _upload(self, release: Shipment, location: str) -> None:
        for name, record in release.records.items():
            place = self._root.inside(f"{location}/{name}")
            self._tell(f"{name}: {record.bytes / 1e6:,.1f} MB to {place.url}")

            def write(place: Place = place, name: str = name) -> str:
                digest = hashlib.sha256()
                with place.writer() as file:
                    for piece in release.pieces(name):
                        digest.update(piece)
                        file.write(piece)
                return digest.hexdigest()

            sha256 = self._retried(write)
            if sha256 != record.sha256:
                raise changed(release, name, sha256)
            size = self._retried(place.size_bytes)
            if size != record.bytes:
                raise UnavailableError(
                    f"{place.url!r:.300} should have {record.bytes:,} bytes after it was written, and has {size}",
                    hint="push again; readers see nothing of this push",
                )
        if self._root.is_local:
            storage.synchronize(Path(self._root.path) / location)

    def _read(self) -> tuple[Index | None, str]:
        content, token = self._retried(lambda: self._pointer.read(MOST_INDEX_BYTES))
        if content is None:
            return None, token
        return parse_index(content, repr(self._index_place.url)), token

    def _change(self, edit: Callable[[Index | None], Index]) -> Index:
        """Replace the index by what `edit` makes of it, again and again until nobody else was faster.

        An index that `edit` does not change is not written.
        """
        failures = 0
        for _ in range(_TRIES):
            present, token = self._read()
            index = edit(present)
            if index == present:
                return index
            revision = secrets.token_hex(8)
            index = replace(index, revisions=(revision, *index.revisions)[:MOST_REVISIONS])
            content = index.to_json().encode()
            parse_index(content, "the new index")
            try:
                if self._pointer.replace(content, token):
                    return index
            except InputError as error:
                failures += 1
                if self._root.is_local or is_final(error) or failures > len(DELAYS_SECONDS):
                    raise
                self._tell(f"{error.message}; trying again ({failures} of {len(DELAYS_SECONDS)})")
            # It may have been written although the answer was lost; then another try would do the change twice
            now, _ = self._read()
            if now is not None and revision in now.revisions:
                return now
            self._pause(random.uniform(0.0, 0.5))  # noqa: S311 - no secret, only another moment than the others
        raise UnavailableError(
            f"{self._index_place.url!r:.200} could not be replaced in {_TRIES} tries: other publishers were faster",
            hint="run the same command again",
        )

    def _retried(self, request: Callable[[], T]) -> T:
        return request() if self._root.is_local else with_retries(request, self._tell, pause=self._pause)


def _new_folder(version: str) -> str:
    """The name of a folder that no other push uses."""
    return f"{version}-{datetime.now(UTC):{_TIME}}-{secrets.token_hex(4)}"


def _is_leftover(name: str) -> bool:
    """Whether `name` is the folder of a push that is too old to be listed any more."""
    parts = _FOLDER.fullmatch(name)
    if parts is None:
        return False
    began = datetime.strptime(parts[1], _TIME).replace(tzinfo=UTC)
    return datetime.now(UTC) - began > _LEFTOVER


def _existing(index: Index | None, url: str) -> Index:
    if index is None:
        raise no_releases(url)
    return index
