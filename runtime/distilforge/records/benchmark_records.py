"""Reads and writes the benchmark records of a release.

A record is one JSON file. Its name is derived from the release and the conditions, and the file holds both as well. A
file that cannot be read, or that holds something else, counts as absent.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge import user_cache
from distilforge.errors import ReleaseError, UnavailableError
from distilforge.manifest import Manifest
from distilforge.reader import Reader
from distilforge.records import record_files
from distilforge.records.conditions import Conditions, present_conditions

SCHEMA = 2
"""Version of the file format. Schema 1 did not have the GPUs."""
MOST_RECORDS = 64
"""How many records are kept; the oldest are removed."""
# A record has about 2 kB
_MOST_BYTES = 1 << 20
_TEMPORARY = ".temporary-"
# A writer needs milliseconds, so an older temporary file belongs to a writer that was killed
_TEMPORARY_SECONDS = 3600.0
_READER = Reader(ReleaseError, unknown="ignore", hint="run `distilforge bench` again")
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRecord:
    """The part of a steady benchmark result that is kept: enough to select a variant, and to say why."""

    release: str
    """The release's identity (distilforge.records.record_files.release_identity)."""
    name: str
    """The release's name, for people who read the file."""
    version: str
    """The release's version, for people who read the file."""
    conditions: Conditions
    """The conditions under which it was measured."""
    measured_at: str
    """When it was measured, in ISO 8601."""
    shapes: tuple[str, ...]
    """The shapes at which it was measured, such as `8x128`."""
    speeds: Mapping[str, float]
    """By the variant's name, how many times as fast as the first variant each variant is; the first has 1."""
    schema: int = SCHEMA
    """Version of the file format."""

    def __post_init__(self) -> None:
        """Raise ValueError for a value that no record has."""
        if self.schema != SCHEMA:
            raise ValueError(f"it has schema {self.schema}, expected {SCHEMA}")
        for name, speed in self.speeds.items():
            if not math.isfinite(speed) or speed <= 0:
                raise ValueError(f"the speed of {name} must be above 0 and finite, found {speed}")

    def to_json(self) -> str:
        """The file's content."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_file(cls, path: Path) -> "BenchmarkRecord":
        """Read the file `path`.

        Raises ReleaseError with the name of a field that does not fit, or for a file of more than 1 MiB; OSError if it
        cannot be read; ValueError if it is not UTF-8.
        """
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ReleaseError(f"{str(path)!r} has more than {_MOST_BYTES:,} bytes")
        return _READER.read_json(cls, content.decode(), str(path))


def read_record(manifest: Manifest, threads: int | None) -> BenchmarkRecord | None:
    """The record of the release under the present conditions, for runs on `threads` threads; None if there is none.

    This never raises. If a file cannot be read, the reason is logged at DEBUG.
    """
    release = record_files.release_identity(manifest)
    conditions = present_conditions(manifest, threads)
    try:
        path = record_files.records_folder() / record_files.record_name(release, asdict(conditions))
        record = BenchmarkRecord.from_file(path)
    except FileNotFoundError:
        return None
    # ValueError and OverflowError: not UTF-8, or a number out of range
    except (OSError, UnavailableError, ReleaseError, ValueError, OverflowError) as cause:
        _logger.debug("the benchmark record of %s cannot be read: %s", manifest.name, cause)
        return None
    if (record.release, record.conditions) != (release, conditions):
        _logger.debug("%s is the record of another release or of other conditions", path)
        return None
    return record


def write_record(record: BenchmarkRecord) -> Path:
    """Write `record` in place of an older one under the same conditions, and return the file's path.

    Raises UnavailableError if the cache cannot be written or is not trusted.
    """
    try:
        folder = record_files.records_folder()
        path = folder / record_files.record_name(record.release, asdict(record.conditions))
        user_cache.replace_file(path, record.to_json().encode(), prefix=_TEMPORARY)
        _remove_oldest(folder)
    except OSError as cause:
        raise UnavailableError(
            f"the user's cache cannot be written: {cause}",
            hint="set XDG_CACHE_HOME to a folder that can be written",
        ) from cause
    return path


def remove_records(manifest: Manifest) -> int:
    """Remove the records of the release under any conditions, and return how many there were.

    Raises UnavailableError if the cache cannot be written.
    """
    try:
        paths = record_files.records_of(record_files.release_identity(manifest))
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as cause:
        raise UnavailableError(
            f"the user's cache cannot be changed: {cause}", hint="check the permissions of its folder"
        ) from cause
    return len(paths)


def _remove_oldest(folder: Path) -> None:
    """Remove the oldest records beyond MOST_RECORDS, and temporary files that killed writers left behind."""
    ages: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        try:
            written = path.stat().st_mtime
        except FileNotFoundError:
            continue  # another process removed it
        if path.name.startswith(_TEMPORARY):
            if time.time() - written > _TEMPORARY_SECONDS:
                path.unlink(missing_ok=True)
        elif path.suffix == record_files.SUFFIX:
            ages.append((written, path))
    for _, path in sorted(ages, reverse=True)[MOST_RECORDS:]:
        path.unlink(missing_ok=True)
