"""Compute capabilities as a manifest names them: "8.6", or "8.0+" for that and later ones."""

import re
from collections.abc import Sequence

from distilforge.errors import ReleaseError

Capability = tuple[int, int]

_NAMED = re.compile(r"([0-9]+)\.([0-9]+)(\+?)")


def runs_on(named: Sequence[str], capability: Capability) -> bool:
    """Whether one of `named`, which were checked, admits `capability`; none named says nothing, and admits all."""
    return not named or any(_admits(each, capability) for each in named)


def check(named: Sequence[str]) -> None:
    """ReleaseError for one of `named` that is no compute capability."""
    for each in named:
        if not _NAMED.fullmatch(each):
            raise ReleaseError(
                f"{each!r} in a variant's compiled.capabilities is no compute capability",
                hint='it must read "8.6", or "8.0+" for that and later ones; publish the release again',
            )


def described(named: Sequence[str]) -> str:
    """The capabilities in words, as "8.6, or 12.0 and later"."""
    words = [f"{each.removesuffix('+')} and later" if each.endswith("+") else each for each in named]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])}, or {words[-1]}"


def text(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"


def _admits(named: str, capability: Capability) -> bool:
    found = _NAMED.fullmatch(named)
    assert found is not None
    major, minor, later = found.groups()
    least = (int(major), int(minor))
    return capability >= least if later else capability == least
