"""The record of a package: what it was made of, and the digest of every file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilforge.manifest import FileRecord

RECORD = "package-record.json"
"""The file's name in a package; every other file is listed in it."""
FORMAT = 1
"""The version of the record's format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """What a package is made of."""

    format: int
    """The version of this format."""
    kind: str
    """The kind of package."""
    name: str
    """The release's name."""
    version: str
    """The release's version."""
    manifest_sha256: str
    """The SHA-256 of the release's manifest.json, of which the package has a copy in release/."""
    signer: str
    """Who signed the release, if the signature was verified when the package was made; otherwise empty."""
    variant: str
    """The variant that the package holds."""
    reason: str
    """Why it holds this one."""
    self_test: tuple[str, ...]
    """The command that tests the package, in its folder."""
    files: Mapping[str, FileRecord]
    """The digest and size of every other file, by relative path."""

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(record.bytes for record in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the record as JSON into `folder`."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"
        (folder / RECORD).write_text(text, encoding="utf-8")
