"""Builds a release again from the checkpoint and the recipe that it names, and compares it file by file."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distilforge import release as releases
from distilforge.manifest import Manifest
from distilforge.manifest.version import is_deployed

from pipeline.build import build
from pipeline.errors import StageError, UsageError
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble
from pipeline.stages import load, origin
from pipeline.store import versions
from pipeline.store.work import ProgressListener

Outcome = Literal["same", "differs", "not built", "not published", "not compared"]
COLUMNS = ("file", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltFile:
    """One file of the release, or of the second build."""

    name: str
    """Its path in the release."""
    outcome: Outcome
    """Whether both have it with the same bytes; reports and cards, which hold measurements, are not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """A release beside its second build."""

    name: str
    """The release's name."""
    version: str
    """The release's version."""
    rebuilt_version: str
    """The version of the second build; the same if every deployed file is."""
    files: tuple[RebuiltFile, ...]
    """Every file of both."""

    @property
    def compared(self) -> int:
        """How many files were compared."""
        return sum(file.outcome != "not compared" for file in self.files)

    @property
    def different(self) -> tuple[str, ...]:
        """The names of the files that are not the same in both."""
        return tuple(file.name for file in self.files if file.outcome not in ("same", "not compared"))


def rebuild(folder: Path, recipe: Recipe, listener: ProgressListener) -> Rebuild:
    """Build what the release in the version folder `folder` was built from, in a folder of its own, and compare.

    Nothing of earlier builds is used, and nothing is validated, timed or published. Variants that the release withheld
    are left out. Differences between the versions of the tools, then and now, are notes: they may be the reason for a
    file that differs.

    Raises UsageError if the checkpoint or the recipe has another digest than the release names, ReleaseError for a
    release that is damaged, and what `build` raises.
    """
    published = releases.verify(folder)
    _check_digests(published, recipe)
    for difference in _tool_differences(published):
        listener.note(difference)
    with tempfile.TemporaryDirectory(prefix="distilforge-rebuild-") as artifacts:
        candidate = assemble.read_manifest(build(recipe, Path(artifacts), listener, until="assemble").folder)
    rebuilt = assemble.withhold(candidate, {variant.name: variant.reason for variant in published.withheld})
    return Rebuild(
        name=published.name,
        version=published.version,
        rebuilt_version=rebuilt.version,
        files=tuple(_files(published, rebuilt)),
    )


def judge(result: Rebuild) -> None:
    """Raise StageError if a file of the second build differs."""
    if result.different:
        raise StageError(
            "rebuild",
            f"{len(result.different)} of {result.compared} files of {result.name} {result.version} differ: "
            f"{', '.join(result.different)}",
            hint="the same bytes need the same versions of the tools, and engines the same device; "
            "`distilforge inspect` prints those of the release",
        )


def _check_digests(published: Manifest, recipe: Recipe) -> None:
    provenance = published.provenance
    origin.check_release(recipe.checkpoint, load.load(recipe), published)
    digest = recipe.digest
    if digest != provenance.recipe_sha256:
        raise UsageError(
            f"this is not the recipe of {published.name} {published.version}: its digest should be "
            f"{provenance.recipe_sha256}, found {digest}",
            hint="give the same recipe, the same data files and the same options as to `distilforge build`",
        )


def _tool_differences(published: Manifest) -> Iterator[str]:
    """A line for each tool whose version is not the one that built the release."""
    commit = versions.git_commit()
    if commit != published.provenance.git_commit:
        yield f"the pipeline is git {commit}; the release was built with {published.provenance.git_commit}"
    present = versions.tools(*filter(None, published.provenance.tools))
    for name, version in published.provenance.tools.items():
        if present.get(name) != version:
            yield f"{name} is {present.get(name, 'not installed')}; the release was built with {version}"


def _files(published: Manifest, rebuilt: Manifest) -> Iterator[RebuiltFile]:
    for name in sorted(published.files.keys() | rebuilt.files.keys()):
        yield RebuiltFile(name=name, outcome=_outcome(name, published, rebuilt))


def _outcome(name: str, published: Manifest, rebuilt: Manifest) -> Outcome:
    if not is_deployed(name):
        return "not compared"
    before, after = published.files.get(name), rebuilt.files.get(name)
    if before is None:
        return "not published"
    if after is None:
        return "not built"
    return "same" if before == after else "differs"
