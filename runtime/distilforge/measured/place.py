"""Where outcomes are kept, by release: quick to import, since `distilforge.open` always looks."""

import hashlib
import json
from pathlib import Path

from distilforge import user_cache
from distilforge.manifest import Manifest

SUFFIX = ".json"
_DIGITS = 32


def identity(manifest: Manifest) -> str:
    """A SHA-256 over the release's name, version and digests: another release of the same name has another."""
    digests = sorted((name, record.sha256) for name, record in manifest.files.items())
    return digest([manifest.name, manifest.version, digests])


def folder() -> Path:
    """The folder of all outcomes, which may not be there; RuntimeError where this user has no home."""
    return user_cache.folder("measured")


def file_name(release: str, conditions: object) -> str:
    """Of the outcome of a release, by its identity, under conditions, as JSON can say them."""
    return f"{_prefix(release)}{digest(conditions)[:_DIGITS]}{SUFFIX}"


def kept(release: str) -> tuple[Path, ...]:
    """The outcomes of a release, by its identity, under whatever conditions.

    Raises OSError where the folder cannot be read, RuntimeError where this user has no home.
    """
    try:
        return tuple(path for path in folder().iterdir() if path.name.startswith(_prefix(release)))
    except FileNotFoundError:
        return ()


def is_remembered(manifest: Manifest) -> bool:
    """Whether there is any outcome of the release; False where the cache cannot be read."""
    try:
        return bool(kept(identity(manifest)))
    except (OSError, RuntimeError):
        return False


def digest(value: object) -> str:
    """A SHA-256 of `value` as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _prefix(release: str) -> str:
    return f"{release[:_DIGITS]}-"
