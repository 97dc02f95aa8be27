"""Writes wheels whose bytes depend on their files alone."""

import base64
import csv
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

_STORED_SUFFIXES = (".onnx", ".data", ".engine")
"""Weights hardly shrink, and inflating them takes long."""
_TAG = "py3-none-any"
_WHEEL = f"Wheel-Version: 1.0\nGenerator: distilforge\nRoot-Is-Purelib: true\nTag: {_TAG}\n"
_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelDescription:
    """What the metadata of a wheel say."""

    name: str
    """The distribution's name."""
    version: str
    """Its version."""
    summary: str
    """What it is, in one line."""
    requires: Sequence[str] = ()
    """The packages that it needs, as pip writes them."""
    requires_python: str = ">=3.11"
    """The versions of Python that it runs on."""


def write(description: WheelDescription, files: Mapping[str, Path | bytes], folder: Path) -> Path:
    """Write a wheel of `files`, contents or paths by the names that they get, into `folder`, and return its path.

    Source of the format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    name = canonicalize_name(description.name).replace("-", "_")
    stem = f"{name}-{Version(description.version)}"
    path = folder / f"{stem}-{_TAG}.whl"
    information = f"{stem}.dist-info"
    contents = {
        **dict(sorted(files.items())),
        f"{information}/METADATA": _metadata(description).encode(),
        f"{information}/WHEEL": _WHEEL.encode(),
    }
    record = StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w") as archive:
        for target, source in contents.items():
            content = source if isinstance(source, bytes) else source.read_bytes()
            archive.writestr(_entry(target), content)
            rows.writerow((target, f"sha256={_digest(content)}", len(content)))
        rows.writerow((f"{information}/RECORD", "", ""))
        archive.writestr(_entry(f"{information}/RECORD"), record.getvalue())
    return path


def _entry(target: str) -> zipfile.ZipInfo:
    """The entry of a file, with a date and a mode that are always the same."""
    entry = zipfile.ZipInfo(target, date_time=_OLDEST_DATE)
    entry.external_attr = _FILE_MODE << 16
    entry.compress_type = zipfile.ZIP_STORED if target.endswith(_STORED_SUFFIXES) else zipfile.ZIP_DEFLATED
    return entry


def _digest(content: bytes) -> str:
    """The SHA-256 as RECORD has it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _metadata(description: WheelDescription) -> str:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {description.name}",
        f"Version: {description.version}",
        f"Summary: {description.summary}",
        f"Requires-Python: {description.requires_python}",
        *(f"Requires-Dist: {requirement}" for requirement in description.requires),
    ]
    return "\n".join(lines) + "\n"
