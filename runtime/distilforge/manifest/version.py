"""A release's version: a digest of what it deploys."""

import hashlib
import json
from collections.abc import Mapping

from distilforge.manifest.release import FileRecord

VERSION_DIGITS = 12
"""How many hexadecimal digits a version has."""
_DESCRIPTIONS = ("README.md", "sbom.cdx.json")
_REPORTS = "validation/"


def is_deployed(file: str) -> bool:
    """Whether the release's file `file` is deployed, and does not only describe the release."""
    return file not in _DESCRIPTIONS and not file.startswith(_REPORTS)


def release_version(files: Mapping[str, FileRecord], recipe_sha256: str) -> str:
    """The version of a release with `files`: a digest of the deployed ones and of the recipe.

    Timings, dates, reports and descriptions do not count.
    """
    deployed = {name: record.sha256 for name, record in files.items() if is_deployed(name)}
    text = json.dumps(deployed, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return _sha256(_sha256(text) + recipe_sha256)[:VERSION_DIGITS]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
