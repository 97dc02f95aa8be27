"""Compares versions of packages."""

import re


def is_older(version: str, than: str) -> bool:
    """Whether the first three numbers of `version` come before those of `than`.

    Suffixes do not count, such as those of 1.23.0.dev1 and 2026.4.1-22078-3a1ea0e.
    """
    return _numbers(version) < _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
