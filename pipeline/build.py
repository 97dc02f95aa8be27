"""A build: load, export, compile, assemble, validate, publish."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline import targets
from pipeline.graph.interface import Interface
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble as release_folder
from pipeline.release import gate, signing, summary
from pipeline.release.publish import check_place
from pipeline.release.signing import Signer
from pipeline.release.summary import VariantLine
from pipeline.stages import (
    assemble,
    compile,
    engines,
    export,
    load,
    preconditions,
    publish,
    token_ids,
    validate,
)
from pipeline.store.usage import in_use
from pipeline.store.work import WORK, ProgressListener, Stage, WorkFolder

StageName = Literal["export", "compile", "assemble", "validate", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """The result of a build."""

    name: str
    """The name of the release."""
    stage: StageName
    """The last stage of the build."""
    folder: Path
    """The folder of the last stage: the release, or a folder below artifacts/.work."""
    new: bool
    """Whether the last stage or the release is new; a timing that was repeated without a better result is not."""
    lines: tuple[VariantLine, ...] = ()
    """How each variant fared, from the stage "validate" on; the folder's manifest.json has the details."""


def build(
    recipe: Recipe,
    artifacts: Path,
    listener: ProgressListener,
    *,
    until: StageName = "publish",
    signer: Signer | None = None,
) -> BuildResult:
    """Build `recipe` into the folder `artifacts`, up to the stage `until`.

    A release is published with the signature of `signer`, if there is one. A stage that an earlier build has done is
    taken from artifacts/.work. Raises UsageError, MissingError, StageError (which names the stage and chains the
    cause), GateError (after which nothing is published), and the errors of model_src, validation and distilforge for
    checkpoints, data and releases.
    """
    for variant in recipe.variants:
        targets.find(variant.target, variant.precision)
    if signer is not None:
        signing.check(signer)
    source = load.load(recipe)
    preconditions.check(recipe, source)
    if until not in ("export", "compile"):
        preconditions.check_spans(recipe)
    if until == "publish":
        check_place(artifacts, recipe.name)
    with in_use(artifacts / WORK):
        return _build(recipe, source, artifacts, listener, until, signer)


def _build(
    recipe: Recipe,
    source: load.Source,
    artifacts: Path,
    listener: ProgressListener,
    until: StageName,
    signer: Signer | None,
) -> BuildResult:
    work = WorkFolder(artifacts / WORK, listener)

    exported = export.export(work, recipe, source)
    if until == "export":
        return _result(recipe, until, exported)
    preconditions.check_with_head(recipe, source, Interface.read(exported.folder / export.INTERFACE).head)

    graphs = {
        variant: compile.compile_variant(work, recipe, source, variant, exported)
        for variant in recipe.variants
    }
    compiled = engines.make(work, recipe, exported, graphs, listener)
    if until == "compile":
        return _result(recipe, until, *compiled)

    candidate = assemble.assemble(work, recipe, source, exported, compiled)
    if until == "assemble":
        return _result(recipe, until, candidate)

    tokens = token_ids.compare(work, recipe, source, candidate, listener)
    compared = validate.compare(work, recipe, source, candidate, listener)
    timed = validate.time(work, recipe, source, candidate, listener)
    validated = validate.validate(work, recipe, candidate, tokens, compared, timed)
    manifest = release_folder.read_manifest(validated.folder)
    for line in gate.withheld_lines(manifest):
        listener.note(line)
    if recipe.gates.mode == "enforce" or not manifest.variants:
        gate.enforce(manifest)
    if until == "validate":
        return replace(_result(recipe, until, validated), lines=summary.lines(manifest))

    published = publish.publish(
        artifacts,
        artifacts / WORK / "publish",
        recipe,
        source,
        candidate,
        validated,
        manifest,
        listener,
        signer,
    )
    return BuildResult(
        name=recipe.name,
        stage="publish",
        folder=published.folder,
        new=published.new,
        lines=summary.lines(release_folder.read_manifest(published.folder)),
    )


def _result(recipe: Recipe, stage: StageName, *stages: Stage) -> BuildResult:
    return BuildResult(
        name=recipe.name, stage=stage, folder=stages[-1].folder, new=not all(one.reused for one in stages)
    )
