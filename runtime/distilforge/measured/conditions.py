"""Under which conditions an outcome was measured; under others it says nothing."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from distilforge.json_fields import Fields, read_text
from distilforge.measured.processor import Processor, this_processor

PACKAGES = (
    "distilforge",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-ep-nv-tensorrt-rtx",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
)
"""Packages whose version decides how fast a variant runs."""
_SUFFIX = ".dist-info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The machine, the engines and the threads."""

    processor: Processor
    """The machine's."""
    versions: Mapping[str, str]
    """Of those of PACKAGES that are installed."""
    threads: int | None
    """How many a run may use; None for the engine's default."""

    @classmethod
    def from_fields(cls, fields: Fields) -> "Conditions":
        """The conditions in `fields`; ReleaseError naming the field that does not fit."""
        return cls(
            processor=Processor.from_fields(fields.nested("processor")),
            versions=fields.map("versions", read_text),
            threads=fields.integer("threads") if fields.has("threads") else None,
        )


def present_conditions(threads: int | None) -> Conditions:
    """Those of this process, for runs on `threads` threads."""
    return Conditions(processor=this_processor(), versions=_versions(), threads=threads)


def _versions() -> dict[str, str]:
    """Told by the names of installed packages' folders (packaging.python.org, Recording installed projects).

    importlib.metadata would tell the same, and takes 10 ms to import, of which `distilforge.open` has none to spare.
    """
    versions: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")  # noqa: PTH208 - a Path of every package takes ten times as long
        except OSError:
            continue  # no folder, such as a zip file
        for entry in entries:
            package, _, version = entry.removesuffix(_SUFFIX).partition("-")
            name = package.lower().replace("_", "-")
            if entry.endswith(_SUFFIX) and name in PACKAGES:
                # Python takes the first on its path
                versions.setdefault(name, version)
    return dict(sorted(versions.items()))
