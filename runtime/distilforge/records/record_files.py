"""Where benchmark records are kept; quick to import, because `distilforge.open` always looks for one."""

import hashlib
import json
import logging
from pathlib import Path

from distilforge import user_cache
from distilforge.errors import UnavailableError
from distilforge.manifest import Manifest

SUFFIX = ".json"
"""The suffix of a record's file name."""
_DIGITS = 32
_logger = logging.getLogger("distilforge")


def release_identity(manifest: Manifest) -> str:
    """A SHA-256 over the release's name, version and file digests, so that two releases never share one."""
    digests = sorted((name, record.sha256) for name, record in manifest.files.items())
    return _digest([manifest.name, manifest.version, digests])


def records_folder() -> Path:
    """The folder of all records, which may not exist; raises UnavailableError as `user_cache.folder` does."""
    return user_cache.folder("benchmarks")


def record_name(release: str, conditions: object) -> str:
    """The file name of a record: of the release with the identity `release`, under `conditions` (a JSON value)."""
    return f"{_prefix(release)}{_digest(conditions)[:_DIGITS]}{SUFFIX}"


def records_of(release: str) -> tuple[Path, ...]:
    """The files of all records of the release with the identity `release`, under any conditions.

    Raises OSError if the folder cannot be read, and UnavailableError as `user_cache.folder` does.
    """
    try:
        return tuple(path for path in records_folder().iterdir() if path.name.startswith(_prefix(release)))
    except FileNotFoundError:
        return ()


def has_records(manifest: Manifest) -> bool:
    """Whether there is a record of the release, under any conditions; False if the cache cannot be read."""
    try:
        return bool(records_of(release_identity(manifest)))
    except OSError:
        return False
    except UnavailableError as error:
        _logger.warning("no benchmark record is used: %s", error.message)
        return False


def _digest(value: object) -> str:
    """A SHA-256 of `value` as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _prefix(release: str) -> str:
    return f"{release[:_DIGITS]}-"
