"""What a store holds: its releases, and the channels that name them. A folder has it as `index.json`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from distilforge import limits
from distilforge.errors import InputError, ReleaseError
from distilforge.manifest import FileRecord
from distilforge.manifest.consistency import name_problem
from distilforge.reader import Reader
from distilforge.release import SIGNATURE, STATEMENT

INDEX = "index.json"
"""The file's name."""
LATEST = "latest"
"""The channel that every push moves."""
MOST_INDEX_BYTES = 16 << 20
"""The largest index."""
MOST_RELEASES = 10_000
"""The most releases of a store."""
MOST_CHANNELS = 100
"""The most channels of a store."""
MOST_HISTORY = 10
"""The most versions that a channel remembers."""
MOST_REVISIONS = 100
"""The most changes that an index remembers."""
CHANNEL = re.compile(r"[a-z][a-z0-9._-]{0,62}")
"""The name of a channel. It must not look like a version either."""
VERSION = re.compile(r"[0-9a-f]{12}")
"""A version."""

SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[0-9a-f]{1,64}")
_DATE = re.compile(r"[0-9A-Za-z+:. -]*")
_LOCATION = re.compile(r"[0-9a-z]([0-9a-zA-Z:_-]{0,199})")
_HINT = "ask its publisher to push the release to a new place"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRelease:
    """One version in a store."""

    name: str
    """The release's name, which all versions share."""
    version: str
    """The version, a digest of what the release deploys."""
    location: str
    """Where the store keeps the files: the name of a folder, or the digest of an image's manifest."""
    created: str
    """When the release was built, as ISO 8601."""
    pushed: str
    """When it was pushed, as ISO 8601."""
    bytes: int
    """The size of all files together."""
    validated: bool
    """Whether every variant is."""
    manifest: FileRecord
    """What manifest.json must be."""
    signature: Mapping[str, FileRecord] = field(default_factory=dict)
    """What the signature and the signed statement must be; empty if the release is not signed."""

    @property
    def signed(self) -> bool:
        """Whether it has a signature, which nobody has verified yet."""
        return SIGNATURE in self.signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A name for the version that some users are to have."""

    version: str
    """The version that it names."""
    history: tuple[str, ...] = ()
    """The versions that it named before, the last one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What a store holds."""

    name: str
    """The name of the release."""
    revisions: tuple[str, ...] = ()
    """A random text for this change and for each before, the last one first: a writer whose answer was lost looks here.
    """
    releases: tuple[StoredRelease, ...] = ()
    """The versions, in the order in which they were pushed."""
    channels: Mapping[str, Channel] = field(default_factory=dict)
    """The channels, by name."""
    schema: int = SCHEMA
    """The version of this format."""

    def get(self, version: str) -> StoredRelease | None:
        """The release with this version, if there is one."""
        return next((release for release in self.releases if release.version == version), None)

    def find(self, url: str, *, channel: str | None, version: str | None) -> StoredRelease:
        """The release with `version`, or else the one that `channel` names; the channel `latest` without both.

        `url` is named by errors. Raises InputError if there is no such version or channel.
        """
        if version is not None:
            release = self.get(version)
            if release is None:
                raise InputError(
                    f"{url!r} does not have the version {version!r:.80}",
                    hint=f"it has {_some([release.version for release in self.releases[::-1]])}",
                )
            return release
        name = channel or LATEST
        if name not in self.channels:
            raise InputError(
                f"{url!r} does not have the channel {name!r:.80}",
                hint=f"it has {_some(sorted(self.channels))}; `distilforge promote URL VERSION --to CHANNEL` makes one",
            )
        release = self.get(self.channels[name].version)
        assert release is not None, "check_index saw it"
        return release

    def to_json(self) -> str:
        """The index as a JSON document."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def parse_index(content: bytes, place: str) -> Index:
    """The index in `content`; ReleaseError, which names `place`, if it is too large or is not one."""
    if len(content) > MOST_INDEX_BYTES:
        raise ReleaseError(
            f"{place} has more than {MOST_INDEX_BYTES:,} bytes, the most that it may have", hint=_HINT
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise ReleaseError(f"{place} cannot be read: {cause}", hint=_HINT) from cause
    document = _READER.parse_json(text, place)
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise ReleaseError(
            f"{place} has schema {schema!r:.40}; this distilforge reads schemas up to {SCHEMA}",
            hint="pip install --upgrade distilforge",
        )
    index = _READER.read(Index, document, place)
    check_index(index, place)
    return index


def check_index(index: Index, place: str) -> None:
    """Raise ReleaseError, which names `place`, if `index` breaks a limit or contradicts itself."""
    for problem in _problems(index):
        raise ReleaseError(f"{place} is damaged: {problem}", hint=_HINT)


def check_channel(name: str) -> None:
    """Raise InputError if a channel cannot have this name."""
    if not CHANNEL.fullmatch(name) or VERSION.fullmatch(name):
        raise InputError(
            f"{name!r:.80} cannot be the name of a channel: it must begin with a letter, have at most 63 lower case "
            "letters, digits, '.', '_' and '-', and not be a version",
            hint="for example stable",
        )


_READER = Reader(ReleaseError, unknown="ignore", hint=_HINT)


def _problems(index: Index) -> Iterator[str]:
    """What no index may have, as clauses."""
    for what, count, most in (
        ("releases", len(index.releases), MOST_RELEASES),
        ("channels", len(index.channels), MOST_CHANNELS),
        ("revisions", len(index.revisions), MOST_REVISIONS),
    ):
        if count > most:
            yield f"it has {count:,} {what}; at most {most:,} are allowed"
    if problem := name_problem(index.name):
        yield f"its name is {index.name!r:.80}: {problem}"
    for revision in index.revisions:
        if not _REVISION.fullmatch(revision):
            yield f"the revision {revision!r:.80} is not a hexadecimal number of at most 64 digits"
    versions = {release.version for release in index.releases}
    if len(versions) < len(index.releases):
        yield "it lists a version twice"
    if len({release.location for release in index.releases}) < len(index.releases):
        yield "it lists two versions in one folder"
    for release in index.releases:
        if release.name != index.name:
            yield f"it lists a release of {release.name!r:.80}, and is that of {index.name!r:.80}"
        yield from problems_of_release(release)
    for name, channel in index.channels.items():
        if not CHANNEL.fullmatch(name) or VERSION.fullmatch(name):
            yield f"{name!r:.80} is not the name of a channel"
        if channel.version not in versions:
            yield f"the channel {name!r:.80} names {channel.version!r:.80}, which it does not list"
        if len(channel.history) > MOST_HISTORY:
            yield f"the channel {name!r:.80} remembers {len(channel.history):,} versions; at most {MOST_HISTORY}"
        for version in channel.history:
            if version not in versions:
                yield f"the channel {name!r:.80} named {version!r:.80} before, which it does not list"


def problems_of_release(release: StoredRelease) -> Iterator[str]:
    """What the entry of no release may have, as clauses."""
    if problem := name_problem(release.name):
        yield f"the name of the release is {release.name!r:.80}: {problem}"
    if not VERSION.fullmatch(release.version):
        yield f"{release.version!r:.80} is not a version"
    if not _LOCATION.fullmatch(release.location):
        yield f"{release.location!r:.80} is not the name of a folder"
    records = {"manifest.json": release.manifest, **release.signature}
    if release.signature.keys() - {STATEMENT, SIGNATURE}:
        yield f"{sorted(release.signature)} are not the files of a signature"
    for name, record in records.items():
        if not _SHA256.fullmatch(record.sha256):
            yield f"{record.sha256!r:.80} is not a SHA-256"
        if not 0 <= record.bytes <= limits.MOST_MANIFEST_BYTES:
            yield f"{name} has {record.bytes:,} bytes; 0 to {limits.MOST_MANIFEST_BYTES:,} are allowed"
    if not 0 <= release.bytes <= limits.MOST_FILES * limits.MOST_FILE_BYTES:
        yield f"{release.version} has {release.bytes:,} bytes"
    for date in (release.created, release.pushed):
        if len(date) > limits.MOST_NAME_CHARACTERS:
            yield f"the date {date!r:.80} has {len(date):,} characters"
        elif not _DATE.fullmatch(date):
            yield f"{date!r:.80} is not a date"


def _some(names: list[str]) -> str:
    """The first of `names`, for a hint."""
    most = 8
    rest = len(names) - most
    return (", ".join(names[:most]) or "none") + (f", and {rest} more" if rest > 0 else "")
