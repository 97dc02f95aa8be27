"""Publishes to the Hugging Face hub: each push is one commit. distilforge.remote.hub has the layout."""

import time
from contextlib import suppress

import requests
from distilforge.errors import UnavailableError
from distilforge.remote.hub import MAIN, HubStore, repository
from distilforge.remote.index import StoredRelease
from distilforge.remote.retries import Pause, Tell, with_retries
from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError

from pipeline.errors import UsageError
from pipeline.remote.files import Shipment
from pipeline.remote.publisher import ChannelChange, Prune, Push, check_name

_CONFLICT = 412


class HubPublisher:
    """The publisher of a repository on the hub."""

    def __init__(self, url: str, tell: Tell, *, pause: Pause = time.sleep) -> None:
        """`tell` receives a line for each push, and for each new try."""
        self._repository = repository(url)
        self._store = HubStore(url)
        self._api = HfApi()
        self._tell = tell
        self._pause = pause
        self.url = self._store.url

    def check(self, name: str) -> None:
        """Read the newest release."""
        self._newest(name)

    def push(self, release: Shipment) -> Push:
        """Commit the release's files and remove all others, in one commit, and tag it with the version."""
        manifest = release.manifest
        newest = self._newest(manifest.name)
        new = not release.is_in(newest)
        if new and newest is not None and newest.validated and not manifest.validated:
            raise UsageError(
                f"{newest.version} at {self.url!r:.200} is validated, and {manifest.version} is not; the hub shows the "
                "last one that is pushed",
                hint="push it to another repository",
            )
        try:
            if new:
                self._commit(release)
            elif newest is not None and self._store.commit(manifest.version) != newest.location:
                # A push was ended between its commit and its tag
                self._tag(manifest.version, newest.location)
        except requests.HTTPError as cause:
            if cause.response is not None and cause.response.status_code == _CONFLICT:
                raise UnavailableError(
                    f"another publisher pushed to {self.url!r:.200} at the same time",
                    hint="run the same command again",
                ) from cause
            raise self._store.error("written", cause) from cause
        except (OSError, requests.RequestException) as cause:
            raise self._store.error("written", cause) from cause
        return Push(url=self.url, name=manifest.name, version=manifest.version, new=new, latest=True)

    def repair(self, release: Shipment) -> Push:
        """UsageError: the hub checks what it keeps."""
        raise self._unable("repair a version")

    def promote(self, version: str, channel: str) -> ChannelChange:
        """UsageError: the hub has no channels."""
        raise self._unable("promote a version")

    def rollback(self, channel: str) -> ChannelChange:
        """UsageError: the hub has no channels."""
        raise self._unable("roll a channel back")

    def prune(self, keep: int) -> Prune:
        """UsageError: the hub keeps every commit."""
        raise self._unable("remove versions")

    def _commit(self, release: Shipment) -> None:
        version = release.manifest.version
        self._api.create_repo(self._repository, exist_ok=True)
        self._tell(f"{release.manifest.name} {version}: {len(release.records)} files to {self.url}")
        commit = self._api.upload_folder(
            repo_id=self._repository,
            folder_path=release.folder,
            commit_message=f"Publish {version}",
            # Names, in which these characters would be patterns
            allow_patterns=[name.replace("[", "[[]") for name in release.records],
            delete_patterns=["*"],
            # The hub refuses the commit if another one came in between
            parent_commit=self._store.commit(MAIN),
        )
        self._tag(version, commit.oid)

    def _tag(self, version: str, commit: str) -> None:
        # A version that was signed again has its tag at another commit
        with suppress(RevisionNotFoundError):
            self._api.delete_tag(self._repository, tag=version)
        self._api.create_tag(self._repository, tag=version, revision=commit)

    def _newest(self, name: str) -> StoredRelease | None:
        """The newest release of the repository, which must be one of `name`."""

        def find() -> StoredRelease | None:
            newest = self._store.newest()
            if newest is not None:
                check_name(newest.name, name, self.url)
            return newest

        return with_retries(find, self._tell, pause=self._pause)

    def _unable(self, what: str) -> UsageError:
        return UsageError(
            f"{self.url!r:.200} is on the hub, where distilforge cannot {what}",
            hint="the channel latest is the branch main, and each version a tag: pull one with --version",
        )
