"""SHA-256 of files, folders and values."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from distilforge.manifest import FileRecord

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_COUNTS = "counts in digests"
NOT_COUNTED: Mapping[str, bool] = MappingProxyType({_COUNTS: False})
"""The metadata of a dataclass field that does not decide what is built."""


def of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of one file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_value(value: object) -> str:
    """Hexadecimal SHA-256 of a value made of JSON types; the order of a mapping's keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def counted(instance: "DataclassInstance") -> dict[str, object]:
    """The fields of a dataclass by name, without those with the metadata NOT_COUNTED."""
    return {
        entry.name: getattr(instance, entry.name)
        for entry in fields(instance)
        if entry.metadata.get(_COUNTS, True)
    }


def files(folder: Path) -> dict[str, Path]:
    """Every file below `folder` by its relative path with forward slashes, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def record(folder: Path) -> dict[str, FileRecord]:
    """The digest and size of every file below `folder`, named and sorted as in `files`."""
    return {
        name: FileRecord(sha256=of_file(path), bytes=path.stat().st_size)
        for name, path in files(folder).items()
    }


def of_records(records: Mapping[str, FileRecord]) -> str:
    """Hexadecimal SHA-256 over the names and contents of `records`."""
    return of_value({name: entry.sha256 for name, entry in records.items()})


def damaged(folder: Path, records: Mapping[str, FileRecord]) -> tuple[str, ...]:
    """The names of the files in `records` that are missing from `folder` or differ; sizes are compared first."""

    def differs(name: str, entry: FileRecord) -> bool:
        path = folder / name
        return not path.is_file() or path.stat().st_size != entry.bytes or of_file(path) != entry.sha256

    return tuple(name for name, entry in records.items() if differs(name, entry))
