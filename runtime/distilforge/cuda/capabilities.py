"""Compute capabilities as manifests write them: "8.6", or "8.0+" for 8.0 and later."""

import re
from collections.abc import Sequence

from distilforge.errors import ReleaseError

Capability = tuple[int, int]

_NAMED = re.compile(r"([0-9]+)\.([0-9]+)(\+?)")


def runs_on(named: Sequence[str], capability: Capability) -> bool:
    """Whether one of `named`, which were checked, includes `capability`; an empty sequence includes all."""
    return not named or any(_includes(name, capability) for name in named)


def check(named: Sequence[str]) -> None:
    """Raise ReleaseError for a name that is not a compute capability."""
    for name in named:
        if not _NAMED.fullmatch(name):
            raise ReleaseError(
                f"{name!r} in a variant's compiled.capabilities is not a compute capability",
                hint='it must read "8.6", or "8.0+" for that and later ones; publish the release again',
            )


def described(named: Sequence[str]) -> str:
    """The capabilities in words, such as "8.6, or 12.0 and later"."""
    words = [f"{name.removesuffix('+')} and later" if name.endswith("+") else name for name in named]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])}, or {words[-1]}"


def text(capability: Capability) -> str:
    """The capability as manifests write it."""
    return f"{capability[0]}.{capability[1]}"


def _includes(name: str, capability: Capability) -> bool:
    match = _NAMED.fullmatch(name)
    assert match is not None
    major, minor, later = match.groups()
    least = (int(major), int(minor))
    return capability >= least if later else capability == least
