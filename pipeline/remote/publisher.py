"""What every kind of store can do for a publisher."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.remote.files import Shipment


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A release that is in a store."""

    url: str
    """The store's address without credentials."""
    name: str
    """The release's name."""
    version: str
    """Its version."""
    new: bool
    """Whether this push brought it, or a part of it; false if it was there before, with the same signature."""
    latest: bool
    """Whether the channel `latest` names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChange:
    """A channel that was moved."""

    url: str
    """The store's address without credentials."""
    channel: str
    """The channel's name."""
    version: str
    """The version that it names now."""
    before: str | None
    """The version that it named before; None if it is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Releases that were removed from a store."""

    url: str
    """The store's address without credentials."""
    removed: tuple[str, ...]
    """The versions that were removed."""
    protected: Mapping[str, str]
    """Old versions that stay, and which channel needs them."""
    leftovers: int
    """How many unfinished pushes were removed."""


class Publisher(Protocol):
    """A place where the versions of one release go.

    Its methods raise InputError for what cannot be done, UnavailableError where the store cannot be reached, and
    ReleaseError for what is damaged.
    """

    url: str
    """The address without credentials."""

    def check(self, name: str) -> None:
        """Raise an error if the store cannot be read now, or holds another release than `name`."""

    def push(self, release: Shipment) -> Push:
        """Bring `release` to the store, and move the channel `latest` to it.

        Readers see all of it or nothing.
        """

    def repair(self, release: Shipment) -> Push:
        """Bring those files of `release` again that are damaged or absent in the store; no channel moves.

        Raises UsageError unless the store lists `release` with the same signature.
        """

    def promote(self, version: str, channel: str) -> ChannelChange:
        """Make `channel` name `version`."""

    def rollback(self, channel: str) -> ChannelChange:
        """Make `channel` name the version that it named before."""

    def prune(self, keep: int) -> Prune:
        """Remove all but the last `keep` versions, those that a channel names, and those that one rollback needs."""


def check_name(present: str, name: str, url: str) -> None:
    """Raise UsageError if the store at `url` has the release `present`, and that is not `name`."""
    if present != name:
        raise UsageError(
            f"{url!r:.200} has the release {present!r:.80}, and this one is {name!r:.80}",
            hint="give each release a place of its own; in --to, {name} stands for the release's name",
        )
