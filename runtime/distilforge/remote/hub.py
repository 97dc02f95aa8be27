"""A store on the Hugging Face hub: `hf://ORGANISATION/NAME`, where the branch main is the channel `latest`.

A version is a git tag. The files lie in the repository as they are, so that the clients of the hub read them too.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import requests
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from distilforge.errors import InputError, ReleaseError
from distilforge.limits import MOST_MANIFEST_BYTES
from distilforge.manifest import FileRecord, Manifest
from distilforge.release import MANIFEST, SIGNATURE, STATEMENT, parse_manifest
from distilforge.remote.index import (
    LATEST,
    MOST_RELEASES,
    VERSION,
    Channel,
    Index,
    StoredRelease,
    problems_of_release,
)
from distilforge.storage import Place
from distilforge.urls import without_secrets

PREFIX = "hf://"
MAIN = "main"
"""The branch that is the channel `latest`."""
_URL = re.compile(r"hf://(?P<repository>[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95})/?")
_PIECE_BYTES = 1 << 20


def repository(url: str) -> str:
    """The repository that `url` names; InputError if it does not name one."""
    parts = _URL.fullmatch(url)
    if parts is None:
        raise InputError(
            f"{without_secrets(url)!r:.200} is not the address of a repository on the hub",
            hint="for example hf://my-team/sentiment",
        )
    return parts["repository"]


class HubStore:
    """The reader of a store on the hub. The token is the one that `hf auth login` has kept, or HF_TOKEN."""

    is_local = False

    def __init__(self, url: str) -> None:
        """Raises InputError if `url` is not the address of a repository."""
        self._repository = repository(url)
        self._api = huggingface_hub.HfApi()
        self.url = f"{PREFIX}{self._repository}"

    def commit(self, revision: str) -> str | None:
        """The commit that a branch or tag names; None if there is no such repository or revision."""
        try:
            return self._api.model_info(self._repository, revision=revision).sha
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return None
        except (OSError, HFValidationError, requests.RequestException) as cause:
            raise self.error("read", cause) from cause

    def index(self) -> Index | None:
        """The newest release, with the versions that are tagged; None if there is none.

        Each of them is read, a few files each.
        """
        newest = self.newest()
        if newest is None:
            return None
        try:
            tags = [tag.name for tag in self._api.list_repo_refs(self._repository).tags]
        except (OSError, requests.RequestException) as cause:
            raise self.error("read", cause) from cause
        names = [tag for tag in tags if VERSION.fullmatch(tag) and tag != newest.version][:MOST_RELEASES]
        others = [release for name in names if (release := self._release(name)) is not None]
        releases = (*sorted(others, key=lambda release: release.created), newest)
        return Index(name=newest.name, releases=releases, channels={LATEST: Channel(version=newest.version)})

    def newest(self) -> StoredRelease | None:
        """The release of the branch main; None if there is none."""
        return self._release(MAIN)

    def find(self, *, channel: str | None, version: str | None) -> StoredRelease:
        """The release with `version`, or else the newest one."""
        if version is None and channel not in (None, LATEST):
            raise InputError(
                f"{self.url!r:.200} does not have the channel {channel!r:.80}",
                hint="the hub has the channel latest, and versions: `distilforge releases URL` lists them",
            )
        revision = MAIN if version is None else version
        release = self._release(revision) if revision == MAIN or VERSION.fullmatch(revision) else None
        if release is None:
            raise InputError(
                f"{self.url!r:.200} does not have {f'the version {version!r:.80}' if version else 'a release'}",
                hint="look at the address, and at `hf auth login` if the repository is private",
            )
        if version is not None and release.version != version:
            raise ReleaseError(
                f"the tag {version!r} of {self.url!r:.200} has the version {release.version!r:.80}",
                hint="ask its publisher to push it again",
            )
        return release

    def pieces(self, release: StoredRelease, name: str, record: FileRecord, offset: int) -> Iterator[bytes]:
        """The content of the release's file `name` from the byte `offset` on."""
        with self._place(release.location, name).reader() as file:
            file.seek(offset)
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def error(self, verb: str, cause: Exception) -> InputError:
        """The error for a request that failed because of `cause`."""
        return InputError(
            f"{self.url!r:.200} cannot be {verb}: {without_secrets(str(cause)):.300}",
            hint="look at the address, the network and `hf auth login`",
        )

    def _release(self, revision: str) -> StoredRelease | None:
        """The release of a revision; None if there is no such revision, or no manifest in it.

        The commit is resolved once, so that all files are of one commit.
        """
        commit = self.commit(revision)
        if commit is None:
            return None
        records: dict[str, FileRecord] = {}
        manifest: Manifest | None = None
        for name in (MANIFEST, STATEMENT, SIGNATURE):
            content = self._place(commit, name).read_at_most(MOST_MANIFEST_BYTES)
            if content is None:
                continue
            if len(content) > MOST_MANIFEST_BYTES:
                raise ReleaseError(
                    f"{name!r} of {self.url!r:.200} has more than {MOST_MANIFEST_BYTES:,} bytes",
                    hint="ask its publisher to push it again",
                )
            records[name] = FileRecord(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            if name == MANIFEST:
                manifest = parse_manifest(content, Path(self._repository))
        if manifest is None:
            return None
        record = records.pop(MANIFEST)
        files = (record, *records.values(), *manifest.files.values())
        release = StoredRelease(
            name=manifest.name,
            version=manifest.version,
            location=commit,
            created=manifest.provenance.created,
            pushed="",
            bytes=sum(file.bytes for file in files),
            validated=manifest.validated,
            manifest=record,
            signature=records,
        )
        for problem in problems_of_release(release):
            raise ReleaseError(
                f"{MANIFEST!r} of {self.url!r:.200} is damaged: {problem}",
                hint="ask its publisher to push it again",
            )
        return release

    def _place(self, commit: str, name: str) -> Place:
        return Place(f"{PREFIX}{self._repository}@{commit}/{name}")
