"""Kinds of packages, one a file: what applications, devices, browsers and servers deploy of a release.

A kind writes its own files into a folder. Everything else is the same for every kind and is in `assembly`: verifying
the release, selecting the variant, the README, the digests, and the self-test. Files that a kind copies as they are lie
in `files/NAME/`.
"""

from collections.abc import Callable

from pipeline.packages.base import PackageKind, Write
from pipeline.registry import Registry

kinds: Registry[PackageKind] = Registry("kind of package", __name__)


def package_kind(
    name: str, *, help: str, holds: tuple[str, ...], options: tuple[str, ...] = ()
) -> Callable[[Write], Write]:
    """Register the decorated function as the kind `name`; the other arguments are fields of `PackageKind`."""

    def register(write: Write) -> Write:
        kinds.add(PackageKind(name=name, help=help, holds=holds, write=write, options=options))
        return write

    return register
