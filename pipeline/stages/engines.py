"""The stage that makes engines of compiled graphs: what can be refused before any work, and several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from distilforge.manifest import Span, Variant

from pipeline import targets
from pipeline.engines.flavours import Flavour
from pipeline.engines.pool import Pool
from pipeline.graph.interface import Interface
from pipeline.recipe import spans
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.stages.compile import VARIANT
from pipeline.stages.export import INTERFACE
from pipeline.stages.load import Source
from pipeline.store import dependencies, storage, versions
from pipeline.store.work import Stage, Talk, WorkFolder

TF32 = (
    "Its matrix products may round their factors to TF32, which keeps 10 bits; the graph that answers where there is "
    "no device does not, so that on a device the error is larger than the one that was checked."
)


def check(recipe: Recipe, source: Source) -> None:
    """Refuse, before any work, engines that cannot be built here; UsageError and MissingError say why."""
    flavours = _flavours(recipe.variants)
    if not flavours:
        return
    from pipeline.engines import build

    config = source.checkpoint.configuration()
    axes = dict.fromkeys([*spans.ALWAYS, *recipe.spans])
    sizes = spans.complete(recipe.spans, tuple(axes), config.max_position_embeddings)
    for flavour in flavours.values():
        build.check(flavour, recipe.engine, sizes)


def make(
    work: WorkFolder,
    recipe: Recipe,
    exported: Stage,
    compiled: Mapping[VariantName, Stage],
    talk: Talk,
) -> tuple[Stage, ...]:
    """Every variant's files, with the engine that its target's compiler makes; several are made at once."""
    flavours = _flavours(tuple(compiled))
    if not flavours:
        return tuple(compiled.values())
    sizes = Interface.read(exported.folder / INTERFACE).spans
    pool = Pool()
    made = pool.run(
        {
            str(variant): partial(
                _engine, work, recipe, variant, flavour, sizes, compiled[variant], talk, pool
            )
            for variant, flavour in flavours.items()
        },
        progress=talk.note,
    )
    return tuple(made.get(str(variant), stage) for variant, stage in compiled.items())


def _engine(
    work: WorkFolder,
    recipe: Recipe,
    variant: VariantName,
    flavour: Flavour,
    sizes: Mapping[str, Span],
    compiled: Stage,
    talk: Talk,
    pool: Pool,
) -> Stage:
    def make(folder: Path) -> None:
        made = Variant.from_json((compiled.folder / VARIANT).read_text(encoding="utf-8"), VARIANT)
        for file in made.files:
            storage.link_or_copy(compiled.folder / file, folder / file)
        file = flavour.engine_file(variant.precision)
        described = pool.build(
            folder / made.files[0], flavour, recipe.engine, sizes, folder / file, progress=talk.note
        )
        notes = (TF32,) if recipe.engine.tf32 and variant.precision == "fp32" else ()
        files: tuple[str, ...] = (file, *made.files)
        if flavour.provider:
            from pipeline.engines import context_model

            context = flavour.context_file(variant.precision)
            context_model.write(
                folder / made.files[0], folder / file, described, flavour.provider, folder / context
            )
            files = (context, *files)
        whole = replace(made, files=files, compiled=described, notes=(*made.notes, *notes))
        (folder / VARIANT).write_text(whole.to_json(), encoding="utf-8")

    return work.stage(
        "engine",
        doing=f"building the {flavour.name} engine of {variant}",
        inputs={
            "compiled": compiled.digest,
            "options": recipe.engine.to_json(),
            "spans": {axis: asdict(span) for axis, span in sizes.items()},
            "tools": versions.of(flavour.package, "polygraphy"),
            "source": dependencies.digest_of(make),
        },
        make=make,
    )


def _flavours(variants: Sequence[VariantName]) -> dict[VariantName, Flavour]:
    """The compilers of those that have one."""
    return {
        variant: flavour.narrowed(variant.precision)
        for variant in variants
        if (flavour := targets.find(variant.target, variant.precision).engine) is not None
    }
