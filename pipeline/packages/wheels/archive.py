"""Writes wheels whose bytes depend on their files alone."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version
from wheel.wheelfile import WheelFile

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
    """Write a wheel of `files`, contents or paths by the names that they get, into `folder`, and return its path."""
    # As https://packaging.python.org/en/latest/specifications/binary-distribution-format/ escapes them
    name = canonicalize_name(description.name).replace("-", "_")
    stem = f"{name}-{Version(description.version)}"
    path = folder / f"{stem}-{_TAG}.whl"
    metadata = {
        f"{stem}.dist-info/METADATA": _metadata(description).encode(),
        f"{stem}.dist-info/WHEEL": _WHEEL.encode(),
    }
    with WheelFile(path, "w") as archive:
        for target, source in [*sorted(files.items()), *metadata.items()]:
            entry = zipfile.ZipInfo(target, date_time=_OLDEST_DATE)
            entry.external_attr = _FILE_MODE << 16
            entry.compress_type = (
                zipfile.ZIP_STORED if target.endswith(_STORED_SUFFIXES) else zipfile.ZIP_DEFLATED
            )
            archive.writestr(entry, source if isinstance(source, bytes) else source.read_bytes())
    return path


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
