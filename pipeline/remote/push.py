"""Brings a release to a URL: `distilforge push` and `distilforge build --to`."""

from pathlib import Path

from distilforge.remote.retries import Tell
from distilforge.urls import without_secrets

from pipeline.errors import UsageError
from pipeline.remote.files import shipment
from pipeline.remote.find import find_publisher
from pipeline.remote.publisher import Push

NAME = "{name}"
"""What stands for the release's name in a URL."""


def push(folder: Path, to: str, tell: Tell, *, repair: bool = False) -> Push:
    """Bring the release in `folder` to the URL `to`, in which `{name}` stands for the release's name.

    With `repair` it must be there, and what is damaged or absent of it is brought again.
    Raises ReleaseError if the release is not whole, and what the methods of `Publisher` raise.
    """
    release = shipment(folder)
    publisher = find_publisher(address(to, release.manifest.name), tell)
    return publisher.repair(release) if repair else publisher.push(release)


def check(to: str, name: str, tell: Tell) -> None:
    """Raise an error if the release `name` could not be pushed to `to` now; a build asks before it begins."""
    find_publisher(address(to, name), tell).check(name)


def address(to: str, name: str) -> str:
    """The URL of the release `name`; UsageError for another name in braces than NAME."""
    url = to.replace(NAME, name)
    if "{" in url or "}" in url:
        raise UsageError(
            f"{without_secrets(to)!r:.200} has braces besides {NAME}",
            hint=f"{NAME} stands for the release's name, and nothing else does",
        )
    return url
