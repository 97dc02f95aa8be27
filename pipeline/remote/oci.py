"""Publishes to a store in an OCI registry. distilforge.remote.oci has its layout.

Registries have no conditional writes: of two publishers who move a tag at once, the second one wins, and the first one
is told so if it looks afterwards.
"""

import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from distilforge.errors import ReleaseError, UnavailableError
from distilforge.remote.index import LATEST, Channel, Index
from distilforge.remote.oci import (
    CREATED,
    HISTORY,
    PUSHED,
    TITLE,
    VALIDATED,
    VERSION_OF,
    OciStore,
    parse_image,
)
from distilforge.remote.registry import IMAGE, Registry
from distilforge.remote.retries import Pause, Tell, with_retries
from distilforge.remote.store import no_releases

from pipeline.remote import edits
from pipeline.remote.damage import damaged_files
from pipeline.remote.files import Shipment, changed
from pipeline.remote.publisher import ChannelChange, Prune, Push, check_name
from pipeline.store import digests

T = TypeVar("T")

_TYPE = "application/vnd.distilforge.release.v1"
_FILE = "application/octet-stream"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_EMPTY = b"{}"


class OciPublisher:
    """The publisher of a store in a registry."""

    def __init__(self, url: str, tell: Tell, *, pause: Pause = time.sleep) -> None:
        """`tell` receives a line for each file, and for each new try."""
        self._registry = Registry(url)
        self._store = OciStore(url, tell)
        self._tell = tell
        self._pause = pause
        self.url = self._registry.url

    def check(self, name: str) -> None:
        """Read the tags once."""
        index = self._index()
        if index is not None:
            check_name(index.name, name, self.url)

    def push(self, release: Shipment) -> Push:
        """Bring the files that are absent, then the version's tag, and then the channel `latest`."""
        manifest = release.manifest
        before = self._index() or Index(name=manifest.name)
        check_name(before.name, manifest.name, self.url)
        present = before.get(manifest.version)
        new = not release.is_in(present)
        if new:
            self._upload(release)
            content = _image(release)
            self._retried(lambda: self._registry.put_manifest(manifest.version, content))
            tagged = parse_image(content, "the new image")
            assert tagged is not None
            present = tagged.release
        assert present is not None
        after = edits.with_release(before, present)
        for name, channel in after.channels.items():
            if channel != before.channels.get(name) or self._is_behind(name, channel, release):
                self._write(name, channel)
        return Push(
            url=self.url,
            name=manifest.name,
            version=manifest.version,
            new=new,
            latest=after.channels[LATEST].version == manifest.version,
        )

    def repair(self, release: Shipment) -> Push:
        """Bring the absent files; ReleaseError for a damaged one, since a registry takes a digest only once."""
        version = release.manifest.version
        index = self._index() or Index(name=release.manifest.name)
        damaged = damaged_files(self._store, index.get(version), release, self._tell, pause=self._pause)
        for name in damaged:
            if not self._upload_file(release, name):
                raise ReleaseError(
                    f"{name!r} of {version} in {self.url!r:.200} is damaged, and a registry does not take a file "
                    "again that it has",
                    hint="ask who runs the registry to remove it, or push to another repository",
                )
        latest = index.channels.get(LATEST)
        return Push(
            url=self.url,
            name=index.name,
            version=version,
            new=bool(damaged),
            latest=latest is not None and latest.version == version,
        )

    def promote(self, version: str, channel: str) -> ChannelChange:
        """Make `channel` name `version`."""
        return self._move(channel, lambda index: edits.promoted(index, version, channel))

    def rollback(self, channel: str) -> ChannelChange:
        """Make `channel` name the version that it named before."""
        return self._move(channel, lambda index: edits.rolled_back(index, channel))

    def prune(self, keep: int) -> Prune:
        """Remove the images of old versions; the registry's garbage collection removes their files.

        The image of a channel is another one than that of its version, so that no channel loses a file.
        """
        pruning = edits.pruned(self._existing(), keep)
        for release in pruning.removed:
            self._tell(f"removing {release.version}")
            self._retried(partial(self._registry.delete, release.location))
        return Prune(
            url=self.url,
            removed=tuple(release.version for release in pruning.removed),
            protected=pruning.protected,
            leftovers=0,
        )

    def _move(self, channel: str, edit: Callable[[Index], Index]) -> ChannelChange:
        before = self._existing()
        after = edit(before)
        if after != before:
            self._write(channel, after.channels[channel])
        present = before.channels.get(channel)
        return ChannelChange(
            url=self.url,
            channel=channel,
            version=after.channels[channel].version,
            before=None if present is None else present.version,
        )

    def _write(self, name: str, channel: Channel) -> None:
        """Make the tag `name` what `channel` says; UnavailableError if another publisher moved it at the same time."""
        content = self._retried(lambda: self._registry.manifest(channel.version))
        if content is None or parse_image(content, f"the tag {channel.version} of {self.url!r:.200}") is None:
            raise ReleaseError(
                f"{self.url!r:.200} does not have the version {channel.version} any more",
                hint="`distilforge releases URL` lists what it has; push the release again",
            )
        image = _with_history(content, channel.history)
        written = self._retried(lambda: self._registry.put_manifest(name, image))
        now = self._retried(lambda: self._store.tagged(name))
        if now is None or now.release.location != written:
            version = "nothing" if now is None else now.release.version
            raise UnavailableError(
                f"another publisher moved the channel {name!r} of {self.url!r:.200} at the same time: it names "
                f"{version}",
                hint="look at `distilforge releases URL`, and run the same command again if it is still wanted",
            )

    def _is_behind(self, name: str, channel: Channel, release: Shipment) -> bool:
        """Whether the channel `name` has the version of `release` with another signature.

        The channels get the new one too; a push that was killed before it wrote them is continued by the next one.
        """
        if channel.version != release.manifest.version:
            return False
        tagged = self._retried(lambda: self._store.tagged(name))
        return tagged is None or not release.is_in(tagged.release)

    def _upload(self, release: Shipment) -> None:
        for name in release.records:
            self._upload_file(release, name)
        self._retried(lambda: self._registry.upload(_EMPTY, hashlib.sha256(_EMPTY).hexdigest()))

    def _upload_file(self, release: Shipment, name: str) -> bool:
        """Bring the file `name`; False if the registry has one with its digest."""
        path, record = release.folder / name, release.records[name]
        # The registry refuses another content, with an error that would not say why
        sha256 = digests.of_file(path)
        if sha256 != record.sha256:
            raise changed(release, name, sha256)
        self._tell(f"{name}: {record.bytes / 1e6:,.1f} MB to {self.url}")
        return self._retried(partial(self._registry.upload, path, sha256))

    def _index(self) -> Index | None:
        return self._retried(self._store.index)

    def _existing(self) -> Index:
        index = self._index()
        if index is None:
            raise no_releases(self.url)
        return index

    def _retried(self, request: Callable[[], T]) -> T:
        return with_retries(request, self._tell, pause=self._pause)


def _image(release: Shipment) -> bytes:
    """The manifest of the image with the release's files."""
    stored = release.stored("unknown")
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": _TYPE,
        "config": {
            "mediaType": _EMPTY_TYPE,
            "digest": f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}",
            "size": len(_EMPTY),
        },
        "layers": [
            {
                "mediaType": _FILE,
                "digest": f"sha256:{record.sha256}",
                "size": record.bytes,
                "annotations": {TITLE: name},
            }
            for name, record in release.records.items()
        ],
        "annotations": {
            TITLE: stored.name,
            VERSION_OF: stored.version,
            CREATED: stored.created,
            PUSHED: stored.pushed,
            VALIDATED: "true" if stored.validated else "false",
        },
    }
    return json.dumps(document, indent=1).encode()


def _with_history(content: bytes, history: tuple[str, ...]) -> bytes:
    """The manifest `content`, which was read from the registry and parsed before, for a channel with `history`."""
    document = json.loads(content)
    document["annotations"][HISTORY] = " ".join(history)
    return json.dumps(document, indent=1).encode()
