"""A store in an OCI registry: an image for each version, a tag for each version and each channel.

An image has a layer for each file of the release, as it is, with the file's path as its title. The image of a channel
is that of its version, and remembers in an annotation what the channel named before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from distilforge.errors import InputError, ReleaseError
from distilforge.manifest import FileRecord
from distilforge.reader import Reader
from distilforge.release import MANIFEST, SIGNATURE, STATEMENT
from distilforge.remote.index import (
    CHANNEL,
    LATEST,
    VERSION,
    Channel,
    Index,
    StoredRelease,
    check_index,
    problems_of_release,
)
from distilforge.remote.registry import Registry, digest
from distilforge.remote.retries import Tell, say_nothing

TITLE = "org.opencontainers.image.title"
"""The annotation with a layer's path, and with a release's name."""
VERSION_OF = "org.opencontainers.image.version"
"""The annotation with a release's version."""
CREATED = "org.opencontainers.image.created"
"""The annotation with the time when a release was built."""
PUSHED = "org.distilforge.pushed"
"""The annotation with the time when a release was pushed; only our images have it."""
VALIDATED = "org.distilforge.validated"
"""The annotation that says whether every variant is validated: `true` or `false`."""
HISTORY = "org.distilforge.history"
"""The annotation with the versions that a channel named before, separated by spaces, the last one first."""

_HINT = "ask its publisher to push the release again"
_READER = Reader(ReleaseError, unknown="ignore", hint=_HINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A file of an image."""

    digest: str
    """`sha256:` and 64 hexadecimal digits."""
    size: int
    """Its size in bytes."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """What is read of an image's manifest."""

    layers: tuple[_Layer, ...] = ()
    """Its files."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedRelease:
    """What a tag names."""

    release: StoredRelease
    """The release."""
    history: tuple[str, ...]
    """The versions that the tag named before, if it is a channel."""


class OciStore:
    """The reader of a store in a registry."""

    is_local = False

    def __init__(self, url: str, tell: Tell = say_nothing) -> None:
        """`tell` receives a line for each tag that is damaged.

        Raises InputError if `url` is not the address of a repository.
        """
        self._registry = Registry(url)
        self._tell = tell
        self.url = self._registry.url

    def index(self) -> Index | None:
        """What the registry holds now, from a request for each tag; None if there is no release.

        Images that are not releases are left out, and so are damaged ones, which `push` and `promote` write again.
        """
        tagged: dict[str, TaggedRelease] = {}
        for tag in self._registry.tags():
            if CHANNEL.fullmatch(tag) or VERSION.fullmatch(tag):
                try:
                    named = self.tagged(tag)
                except ReleaseError as error:
                    self._tell(f"{error.message}; leaving it out")
                    continue
                if named is not None:
                    tagged[tag] = named
        if not tagged:
            return None
        # A channel keeps its files although the tag of its version may be gone
        versions_last = sorted(tagged.items(), key=lambda entry: bool(VERSION.fullmatch(entry[0])))
        releases = {named.release.version: named.release for _, named in versions_last}
        channels = {
            tag: Channel(
                version=named.release.version,
                history=tuple(version for version in named.history if version in releases),
            )
            for tag, named in tagged.items()
            if not VERSION.fullmatch(tag)
        }
        ordered = sorted(releases.values(), key=lambda release: (release.pushed, release.version))
        index = Index(name=ordered[-1].name, releases=tuple(ordered), channels=channels)
        check_index(index, repr(self.url))
        return index

    def find(self, *, channel: str | None, version: str | None) -> StoredRelease:
        """The release with `version`, or else the one that `channel` names; the channel `latest` without both."""
        tag = version or channel or LATEST
        what, pattern = ("version", VERSION) if version is not None else ("channel", CHANNEL)
        tagged = self.tagged(tag) if pattern.fullmatch(tag) else None
        if tagged is None:
            raise InputError(
                f"{self.url!r:.200} does not have the {what} {tag!r:.80}",
                hint="`distilforge releases URL` lists the versions and channels",
            )
        if version is not None and tagged.release.version != version:
            raise ReleaseError(
                f"the tag {tag!r} of {self.url!r:.200} has the version {tagged.release.version!r:.80}",
                hint=_HINT,
            )
        return tagged.release

    def pieces(self, release: StoredRelease, name: str, record: FileRecord, offset: int) -> Iterator[bytes]:
        """The content of the release's file `name` from the byte `offset` on."""
        return self._registry.blob(name, record, offset)

    def tagged(self, tag: str) -> TaggedRelease | None:
        """What `tag` names; None if there is no such tag, or the image is not a release."""
        content = self._registry.manifest(tag)
        return None if content is None else parse_image(content, f"the tag {tag!r} of {self.url!r:.200}")


def parse_image(content: bytes, place: str) -> TaggedRelease | None:
    """The release in an image's manifest; None if it is not one of ours, and ReleaseError if it is damaged."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise ReleaseError(f"{place} cannot be read: {cause}", hint=_HINT) from cause
    image = _READER.read_json(_Image, text, place)
    said = image.annotations
    if PUSHED not in said:
        return None
    records = {
        layer.annotations.get(TITLE, ""): FileRecord(
            sha256=layer.digest.removeprefix("sha256:"), bytes=layer.size
        )
        for layer in image.layers
    }
    if MANIFEST not in records:
        raise ReleaseError(f"{place} does not have a layer with the title {MANIFEST}", hint=_HINT)
    release = StoredRelease(
        name=said.get(TITLE, ""),
        version=said.get(VERSION_OF, ""),
        location=digest(content),
        created=said.get(CREATED, ""),
        pushed=said[PUSHED],
        bytes=sum(layer.size for layer in image.layers),
        validated=said.get(VALIDATED) == "true",
        manifest=records[MANIFEST],
        signature={name: records[name] for name in (STATEMENT, SIGNATURE) if name in records},
    )
    for problem in problems_of_release(release):
        raise ReleaseError(f"{place} is damaged: {problem}", hint=_HINT)
    return TaggedRelease(release=release, history=tuple(said.get(HISTORY, "").split()))
