"""A build: load, export, compile, assemble, validate, publish."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from distilforge.manifest import Manifest

from pipeline import ahead, assemble, engine_stage, gate, stages, summary
from pipeline import compile as targets
from pipeline.errors import in_stage
from pipeline.interface import Interface
from pipeline.publish import publish
from pipeline.recipe import Recipe
from pipeline.summary import Line
from pipeline.work import Stage, Talk, WorkFolder

WORK = ".work"
StageName = Literal["export", "compile", "assemble", "validate", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build left: `folder` of its last stage, and whether there was any work to do.

    From validation on, `lines` says how each variant fared; all of it is in the folder's manifest.json.
    """

    name: str
    stage: StageName
    folder: Path
    new: bool
    lines: tuple[Line, ...] = ()


def build(recipe: Recipe, artifacts: Path, talk: Talk, *, until: StageName = "publish") -> Built:
    """Build `recipe` into the folder `artifacts`, up to the stage `until`.

    Every stage that an earlier build has done is taken from artifacts/.work. Raises UsageError, MissingError,
    StageError (the stage named, the cause chained), GateError (nothing is published), and what model_src, validation
    and distilforge raise for checkpoints, data and releases.
    """
    for variant in recipe.variants:
        targets.find(variant.target, variant.precision)
    source = stages.load(recipe)
    ahead.check(recipe, source)
    work = WorkFolder(artifacts / WORK, talk)

    exported = stages.export(work, recipe, source)
    if until == "export":
        return _built(recipe, until, exported)
    if recipe.head is None:  # what config.json names is known once the model is there
        ahead.check_texts(recipe, source, Interface.read(exported.folder / stages.INTERFACE).head)

    graphs = {
        variant: stages.compile_variant(work, recipe, source, variant, exported)
        for variant in recipe.variants
    }
    compiled = engine_stage.make(work, recipe, exported, graphs, talk)
    if until == "compile":
        return _built(recipe, until, *compiled)

    candidate = stages.candidate(work, recipe, source, exported, compiled)
    if until == "assemble":
        return _built(recipe, until, candidate)

    compared = stages.compare(work, recipe, source, candidate, talk)
    timed = stages.time(work, recipe, source, candidate, talk)
    validated = stages.validate(work, recipe, candidate, compared, timed)
    manifest = assemble.read_manifest(validated.folder)
    for line in gate.withheld(manifest):
        talk.note(line)
    if recipe.gates.mode == "enforce" or not manifest.variants:
        gate.enforce(manifest)
    if until == "validate":
        return replace(_built(recipe, until, validated), lines=summary.lines(manifest))

    return _publish(recipe, artifacts, source, candidate, validated, manifest, talk)


def _built(recipe: Recipe, stage: StageName, *made: Stage) -> Built:
    return Built(
        name=recipe.name, stage=stage, folder=made[-1].folder, new=not all(each.reused for each in made)
    )


def _publish(
    recipe: Recipe,
    artifacts: Path,
    source: stages.Source,
    candidate: Stage,
    validated: Stage,
    manifest: Manifest,
    talk: Talk,
) -> Built:
    def compose(folder: Path) -> None:
        from pipeline import release  # reads reports, which needs PyTorch

        release.compose(
            candidate=candidate.folder,
            validated=validated.folder,
            provenance=assemble.provenance(source.digest, manifest.provenance.recipe_sha256),
            folder=folder,
        )

    started = time.monotonic()
    with in_stage("publish"):
        published = publish(
            manifest=manifest,
            compose=compose,
            artifacts=artifacts,
            work=artifacts / WORK / "publish",
            talk=talk,
        )
    talk.finished("publish", manifest.version, time.monotonic() - started, reused=not published.new)
    return Built(
        name=recipe.name,
        stage="publish",
        folder=published.folder,
        new=published.new,
        lines=summary.lines(assemble.read_manifest(published.folder)),
    )
