"""manifest.json of a release: opened, verified, answered with, and shown by the commands."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import distilforge
from distilforge import DistilforgeError
from distilforge.manifest import FileRecord, release_version
from distilforge.release import MANIFEST, read_manifest, verify

from tests.fuzz import samples
from tests.fuzz.commands import CommandError, command
from tests.fuzz.mutations import document
from tests.fuzz.target import Input, Reader, Target, Use


def _prepare(folder: Path, work: Path) -> Reader:
    release = work / "release"
    shutil.copytree(folder / samples.RELEASE, release)
    version = read_manifest(release).version

    def uses(value: Input) -> Sequence[Use]:
        (release / MANIFEST).write_bytes(value.content)
        return (
            lambda: verify(release),
            lambda: (release / MANIFEST).write_bytes(_with_version(value.content, version)),
            lambda: verify(release),
            lambda: _answer(release),
            lambda: command("inspect", release),
            lambda: command("inspect", release, "--json"),
            lambda: command("summary", release),
            lambda: command("summary", release, "--markdown"),
        )

    return uses


def _answer(release: Path) -> None:
    session = distilforge.open(release, threads=1, allow_unvalidated=True)
    session(["the film was good", "a"])


def _with_version(content: bytes, version: str) -> bytes:
    """The manifest with the version of what it lists, so that more than the version is looked at."""
    try:
        values = json.loads(content)
        files = {name: FileRecord(**record) for name, record in values["files"].items()}
        right = release_version(files, values["provenance"]["recipe_sha256"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return content
    return content.replace(version.encode(), right.encode())


TARGET = Target(
    errors=(DistilforgeError, CommandError),
    samples=lambda folder: samples.read(folder / samples.RELEASE, MANIFEST),
    mutate=lambda sample, choices: document.changed_json(sample.content, choices),
    prepare=_prepare,
)
