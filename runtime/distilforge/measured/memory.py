"""Outcomes that this user's cache keeps, so that `distilforge.open` takes what was fastest on this machine.

One JSON file is one outcome. Its name is made of the release and of the conditions, and both are in it. A file that
cannot be read, or that holds something else, counts as absent.
"""

import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge.errors import ReleaseError, UnavailableError
from distilforge.json_fields import Fields, read_number, read_text
from distilforge.manifest import Manifest
from distilforge.measured import place
from distilforge.measured.conditions import Conditions, present_conditions

SCHEMA = 1
KEPT = 64
"""How many outcomes are kept, the newest."""
# A file of this kind has about 2 kB
_MOST_BYTES = 1 << 20
_ASIDE = ".aside-"
# A writer needs milliseconds; what is older was left by one that was killed
_ASIDE_SECONDS = 3600.0
_logger = logging.getLogger("distilforge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is kept of a steady outcome: enough to choose by, and to say why."""

    release: str
    """What tells it from others (distilforge.measured.place.identity)."""
    name: str
    """The release's, for whoever reads the file."""
    version: str
    """The release's, likewise."""
    conditions: Conditions
    """Under which it was measured."""
    measured: str
    """When, as ISO 8601."""
    shapes: tuple[str, ...]
    """At which, as 8x128."""
    speeds: Mapping[str, float]
    """How many times as fast as the first variant each variant was, the first included."""

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str) -> "Remembered":
        """The outcome in `text`; ReleaseError naming the field that does not fit."""
        fields = Fields.parse(text, path)
        if fields.integer("schema") != SCHEMA:
            raise ReleaseError(f"{path} has another schema than {SCHEMA}")
        return cls(
            release=fields.text("release"),
            name=fields.text("name"),
            version=fields.text("version"),
            conditions=Conditions.from_fields(fields.nested("conditions")),
            measured=fields.text("measured"),
            shapes=fields.list("shapes", read_text),
            speeds=fields.map("speeds", _read_speed),
        )


def recall(manifest: Manifest, threads: int | None) -> Remembered | None:
    """What was measured of the release on this machine, with the installed engines, on `threads` threads.

    None where that is nothing. Never an error: what cannot be read is logged at DEBUG.
    """
    release = place.identity(manifest)
    conditions = present_conditions(threads)
    try:
        path = place.folder() / place.file_name(release, asdict(conditions))
        if path.stat().st_size > _MOST_BYTES:
            raise ReleaseError(f"{str(path)!r} has more than {_MOST_BYTES} bytes")
        remembered = Remembered.from_json(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return None
    # RuntimeError: this user has no home folder. ValueError and OverflowError: no UTF-8, or numbers beyond any bound.
    except (OSError, RuntimeError, ReleaseError, ValueError, OverflowError) as cause:
        _logger.debug("what was measured of %s on this machine cannot be read: %s", manifest.name, cause)
        return None
    if (remembered.release, remembered.conditions) != (release, conditions):
        _logger.debug("%s belongs to another release or to other conditions", path)
        return None
    return remembered


def remember(outcome: Remembered) -> Path:
    """Keep `outcome` in the place of what was known under its conditions; the file's path.

    Raises UnavailableError where the cache cannot be written.
    """
    try:
        folder = place.folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / place.file_name(outcome.release, asdict(outcome.conditions))
        handle, aside = tempfile.mkstemp(dir=folder, prefix=_ASIDE)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(outcome.to_json())
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        _remove_oldest(folder)
    except (OSError, RuntimeError) as cause:
        raise UnavailableError(
            f"the user's cache cannot be written: {cause}",
            hint="name a folder that can be written in XDG_CACHE_HOME",
        ) from cause
    return path


def forget(manifest: Manifest) -> int:
    """Remove what is remembered of the release, under whatever conditions; how many outcomes that were.

    Raises UnavailableError where the cache cannot be written.
    """
    try:
        paths = place.kept(place.identity(manifest))
        for path in paths:
            path.unlink(missing_ok=True)
    except (OSError, RuntimeError) as cause:
        raise UnavailableError(
            f"the user's cache cannot be changed: {cause}", hint="look at the rights of its folder"
        ) from cause
    return len(paths)


def _remove_oldest(folder: Path) -> None:
    ages: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        try:
            written = path.stat().st_mtime
        except FileNotFoundError:
            continue  # another process removed it
        if path.name.startswith(_ASIDE):
            if time.time() - written > _ASIDE_SECONDS:
                path.unlink(missing_ok=True)
        elif path.suffix == place.SUFFIX:
            ages.append((written, path))
    for _, path in sorted(ages, reverse=True)[KEPT:]:
        path.unlink(missing_ok=True)


def _read_speed(value: object, path: str) -> float:
    speed = read_number(value, path)
    if not math.isfinite(speed) or speed <= 0:
        raise ReleaseError(f"{path} must be above 0 and finite, found {speed}")
    return speed
