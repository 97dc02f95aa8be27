"""A build: load, export, compile, assemble, validate, publish."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline import targets
from pipeline.graph.interface import Interface
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble as assembled
from pipeline.release import gate, summary
from pipeline.release.summary import Line
from pipeline.stages import assemble, compile, engines, export, load, preconditions, publish, validate
from pipeline.store.work import Stage, Talk, WorkFolder

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
    source = load.load(recipe)
    preconditions.check(recipe, source)
    work = WorkFolder(artifacts / WORK, talk)

    exported = export.export(work, recipe, source)
    if until == "export":
        return _built(recipe, until, exported)
    if recipe.head is None:  # what config.json names is known once the model is there
        preconditions.check_texts(recipe, source, Interface.read(exported.folder / export.INTERFACE).head)

    graphs = {
        variant: compile.compile_variant(work, recipe, source, variant, exported)
        for variant in recipe.variants
    }
    compiled = engines.make(work, recipe, exported, graphs, talk)
    if until == "compile":
        return _built(recipe, until, *compiled)

    candidate = assemble.assemble(work, recipe, source, exported, compiled)
    if until == "assemble":
        return _built(recipe, until, candidate)

    compared = validate.compare(work, recipe, source, candidate, talk)
    timed = validate.time(work, recipe, source, candidate, talk)
    validated = validate.validate(work, recipe, candidate, compared, timed)
    manifest = assembled.read_manifest(validated.folder)
    for line in gate.withheld(manifest):
        talk.note(line)
    if recipe.gates.mode == "enforce" or not manifest.variants:
        gate.enforce(manifest)
    if until == "validate":
        return replace(_built(recipe, until, validated), lines=summary.lines(manifest))

    published = publish.publish(
        artifacts, artifacts / WORK / "publish", source, candidate, validated, manifest, talk
    )
    return Built(
        name=recipe.name,
        stage="publish",
        folder=published.folder,
        new=published.new,
        lines=summary.lines(assembled.read_manifest(published.folder)),
    )


def _built(recipe: Recipe, stage: StageName, *made: Stage) -> Built:
    return Built(
        name=recipe.name, stage=stage, folder=made[-1].folder, new=not all(each.reused for each in made)
    )
