"""Reads and hashes the files of a release. What is parsed is what was hashed: each file is read once."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from distilforge.errors import ReleaseError
from distilforge.limits import MOST_SETTINGS_BYTES, MOST_TOKENIZER_BYTES
from distilforge.manifest import FileRecord
from distilforge.manifest.configuration import ModelConfiguration
from distilforge.text.prompts import SETTINGS

COPY_AGAIN = "copy the release again, or publish it again"
CONFIG, TOKENIZER = "config.json", "tokenizer.json"
TOKENIZER_FILES = (TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", SETTINGS)
"""The files that distilforge.tokenizer reads; the first one must be there."""
PARSED: Mapping[str, int] = {
    CONFIG: MOST_SETTINGS_BYTES,
    **dict.fromkeys(TOKENIZER_FILES, MOST_SETTINGS_BYTES),
    TOKENIZER: MOST_TOKENIZER_BYTES,
}
"""The most bytes of each file that this package parses itself; nothing else of a release is, but the manifest."""
_PIECE_BYTES = 4 << 20

State = tuple[int, ...]
"""What a file system knows of a file or folder, which changes when it is written or replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What this package parses of a release, as it was when its digests were checked."""

    configuration: ModelConfiguration
    """The part of config.json that is used."""
    tokenizer: Mapping[str, bytes]
    """The files of the tokenizer, by name."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise whatever the operating system refuses as ReleaseError, which names `path`."""
    try:
        yield
    except OSError as cause:
        hint = "check its permissions" if isinstance(cause, PermissionError) else COPY_AGAIN
        raise ReleaseError(f"{str(path)!r:.300} cannot be read: {cause!s:.300}", hint=hint) from cause


def read(path: Path, *, most_bytes: int) -> bytes:
    """The content of a file; ReleaseError if it cannot be read, or has more than `most_bytes`."""
    with reading(path), path.open("rb", buffering=0) as file:
        content = bytearray()
        while len(content) <= most_bytes and (piece := file.read(most_bytes + 1 - len(content))):
            content += piece
    if len(content) > most_bytes:
        raise ReleaseError(
            f"{str(path)!r} has more than {most_bytes:,} bytes, the most that it may have", hint=COPY_AGAIN
        )
    return bytes(content)


def decode(content: bytes, path: Path) -> str:
    """The text in `content`, which was read from `path`; ReleaseError if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise ReleaseError(f"{str(path)!r} cannot be read: {cause}", hint=COPY_AGAIN) from cause


def read_recorded(folder: Path, name: str, record: FileRecord) -> bytes:
    """The content of the release's file `name`; ReleaseError if it is not the one in `record`."""
    content = read(folder / name, most_bytes=PARSED[name])
    check_digest(folder, name, record, hashlib.sha256(content).hexdigest())
    return content


def check_digest(folder: Path, name: str, record: FileRecord, sha256: str) -> None:
    """Raise ReleaseError if the file `name` has the digest `sha256`, and `record` another."""
    if sha256 != record.sha256:
        raise ReleaseError(
            f"{name!r} in {str(folder)!r} is damaged: SHA-256 should be {record.sha256}, found {sha256}",
            hint=COPY_AGAIN,
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits; ReleaseError if it cannot be read."""
    with reading(path):
        digest = hashlib.sha256()
        # Between two pieces this thread waits for the interpreter lock, which imports may hold for long
        buffer = memoryview(bytearray(min(_PIECE_BYTES, path.stat().st_size) or 1))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
        return digest.hexdigest()


def states(root: Path, names: Iterable[str]) -> tuple[State, ...]:
    """The states of the files `names` below `root`, and of all folders on the way to them.

    A file that is written, replaced, or moved away and back changes its own state or that of a folder, unless all of it
    happens within one tick of the file system's clock, some milliseconds. Raises ReleaseError for one that is absent.
    """
    paths = sorted({PurePosixPath(name) for name in names})
    folders = sorted({parent for path in paths for parent in path.parents})
    with reading(root):
        return tuple(_state((root / path).stat()) for path in (*folders, *paths))


def _state(entry: os.stat_result) -> State:
    size = 0 if stat.S_ISDIR(entry.st_mode) else entry.st_size
    return entry.st_dev, entry.st_ino, size, entry.st_mtime_ns, entry.st_ctime_ns
