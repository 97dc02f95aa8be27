"""Changes of an index: each takes what a store holds and returns what it holds afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from distilforge.errors import InputError, ReleaseError
from distilforge.remote.index import (
    LATEST,
    MOST_CHANNELS,
    MOST_HISTORY,
    MOST_RELEASES,
    Channel,
    Index,
    StoredRelease,
    check_channel,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """An index without old releases."""

    index: Index
    """What is left."""
    removed: tuple[StoredRelease, ...]
    """The releases that are not in it any more."""
    protected: Mapping[str, str]
    """Why an old version stays: the channel that needs it, by version."""


def with_release(index: Index, release: StoredRelease) -> Index:
    """`index` with `release`, which replaces a release of the same version, and `latest` at it.

    The channel `latest` stays at a validated release if `release` is not validated.
    """
    others = tuple(other for other in index.releases if other.version != release.version)
    if len(others) >= MOST_RELEASES:
        raise InputError(
            f"the store of {index.name!r} has {len(others):,} releases, and at most {MOST_RELEASES:,} are allowed",
            hint="`distilforge prune URL --keep N` removes old ones",
        )
    changed = replace(index, releases=(*others, release))
    latest = index.channels.get(LATEST)
    named = None if latest is None else index.get(latest.version)
    if not release.validated and named is not None and named.validated and named.version != release.version:
        return changed
    return promoted(changed, release.version, LATEST)


def repaired(index: Index, damaged: StoredRelease, release: StoredRelease) -> Index:
    """`index` with `release` in the place of `damaged`, which is the same version; no channel moves.

    Raises ReleaseError if `damaged` is not there any more.
    """
    if damaged not in index.releases:
        raise ReleaseError(
            f"{damaged.version} in the store of {index.name!r} was replaced or removed while it was repaired",
            hint="run the same command again",
        )
    return replace(index, releases=tuple(release if other == damaged else other for other in index.releases))


def promoted(index: Index, version: str, channel: str) -> Index:
    """`index` with `channel` at `version`; what the channel named before goes to its history.

    Raises InputError if there is no such version, or the channel cannot have that name.
    """
    check_channel(channel)
    release = index.find(index.name, channel=None, version=version)
    present = index.channels.get(channel)
    if present is not None and present.version == release.version:
        return index
    if present is None and len(index.channels) >= MOST_CHANNELS:
        raise InputError(
            f"the store of {index.name!r} has {len(index.channels)} channels, and at most {MOST_CHANNELS} are allowed",
            hint="promote to one of them",
        )
    before = () if present is None else (present.version, *present.history)
    # A version that comes back is not remembered twice
    history = tuple(dict.fromkeys(old for old in before if old != version))[:MOST_HISTORY]
    return replace(
        index, channels={**index.channels, channel: Channel(version=release.version, history=history)}
    )


def rolled_back(index: Index, channel: str) -> Index:
    """`index` with `channel` at the version that it named before; InputError if it did not name another one."""
    present = index.channels.get(channel)
    if present is None:
        # Its error says which channels there are
        index.find(index.name, channel=channel, version=None)
        raise AssertionError("the channel is absent")
    if not present.history:
        raise InputError(
            f"the channel {channel!r} names {present.version}, and does not remember another version",
            hint=f"`distilforge promote URL VERSION --to {channel}` names one; `distilforge releases URL` lists them",
        )
    before, *older = present.history
    return replace(index, channels={**index.channels, channel: Channel(version=before, history=tuple(older))})


def pruned(index: Index, keep: int) -> Pruning:
    """`index` with its last `keep` releases, and those that a channel names or would name after one rollback.

    Older versions leave the history of channels with their release. Raises InputError unless `keep` is at least 1.
    """
    if keep < 1:
        raise InputError(f"a store keeps at least 1 release, found {keep}", hint="for example --keep 5")
    last = {release.version for release in index.releases[-keep:]}
    reasons: dict[str, str] = {}
    for name, channel in index.channels.items():
        reasons.setdefault(channel.version, f"{name} names it")
    for name, channel in index.channels.items():
        for before in channel.history[:1]:
            reasons.setdefault(before, f"a rollback of {name} needs it")
    kept = tuple(release for release in index.releases if release.version in last | reasons.keys())
    versions = {release.version for release in kept}
    channels = {
        name: replace(channel, history=tuple(old for old in channel.history if old in versions))
        for name, channel in index.channels.items()
    }
    return Pruning(
        index=replace(index, releases=kept, channels=channels),
        removed=tuple(release for release in index.releases if release not in kept),
        protected={version: reason for version, reason in reasons.items() if version not in last},
    )
