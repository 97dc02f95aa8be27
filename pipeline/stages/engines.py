"""The stage that compiles graphs to engines, several at once, and what it checks before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from distilforge.manifest import Span, Variant

from pipeline import targets
from pipeline.engines.compiler import EngineCompiler
from pipeline.engines.pool import Pool
from pipeline.graph.interface import Interface
from pipeline.recipe import spans
from pipeline.recipe.recipe import Recipe, VariantName
from pipeline.stages.compile import VARIANT
from pipeline.stages.export import INTERFACE
from pipeline.stages.load import Source
from pipeline.store import dependencies, storage, versions
from pipeline.store.work import ProgressListener, Stage, WorkFolder

TF32 = (
    "Its matrix products may round their factors to TF32, which has 10 bits. The graph that was validated without a "
    "device does not do so: on a device the error is larger than the one that was measured."
)


def check(recipe: Recipe, source: Source) -> None:
    """Check, before any work, that every engine of `recipe` can be built here.

    Raises UsageError and MissingError (pipeline.engines.build.check).
    """
    compilers = _compilers(recipe.variants)
    if not compilers:
        return
    from pipeline.engines import build

    axes = dict.fromkeys([*spans.ALWAYS, *recipe.spans])
    sizes = spans.complete(recipe.spans, tuple(axes), source.checkpoint.longest())
    for compiler in compilers.values():
        build.check(compiler, recipe.engine, sizes)


def make(
    work: WorkFolder,
    recipe: Recipe,
    exported: Stage,
    compiled: Mapping[VariantName, Stage],
    listener: ProgressListener,
) -> tuple[Stage, ...]:
    """The stages with the variants' files: for a target with a compiler, its engine and the graph; else `compiled`."""
    compilers = _compilers(tuple(compiled))
    if not compilers:
        return tuple(compiled.values())
    sizes = Interface.read(exported.folder / INTERFACE).spans
    pool = Pool()
    stages = pool.run(
        {
            str(variant): partial(
                _engine, work, recipe, variant, compiler, sizes, compiled[variant], listener, pool
            )
            for variant, compiler in compilers.items()
        },
        progress=listener.note,
    )
    return tuple(stages.get(str(variant), stage) for variant, stage in compiled.items())


def _engine(
    work: WorkFolder,
    recipe: Recipe,
    variant: VariantName,
    compiler: EngineCompiler,
    sizes: Mapping[str, Span],
    compiled: Stage,
    listener: ProgressListener,
    pool: Pool,
) -> Stage:
    def make(folder: Path) -> None:
        entry = Variant.from_json((compiled.folder / VARIANT).read_text(encoding="utf-8"), VARIANT)
        for file in entry.files:
            storage.link_or_copy(compiled.folder / file, folder / file)
        graph, engine = folder / entry.files[0], compiler.engine_file(variant.precision)
        engine_entry = pool.build(
            graph, compiler, recipe.engine, sizes, folder / engine, progress=listener.note
        )
        notes = (
            *((TF32,) if recipe.engine.tf32 and variant.precision == "fp32" else ()),
            *((compiler.notes[variant.precision],) if variant.precision in compiler.notes else ()),
        )
        files: tuple[str, ...] = (engine, *entry.files)
        if compiler.provider:
            from pipeline.engines import context_model

            context = compiler.context_file(variant.precision)
            context_model.write(graph, folder / engine, engine_entry, compiler.provider, folder / context)
            files = (context, *files)
        entry = replace(entry, files=files, compiled=engine_entry, notes=(*entry.notes, *notes))
        (folder / VARIANT).write_text(entry.to_json(), encoding="utf-8")

    return work.stage(
        "engine",
        doing=f"building the {compiler.name} engine of {variant}",
        inputs={
            "compiled": compiled.digest,
            "options": recipe.engine.to_json(),
            "spans": {axis: asdict(span) for axis, span in sizes.items()},
            "tools": versions.of(compiler.package, "polygraphy"),
            "source": dependencies.digest_of(make),
        },
        make=make,
    )


def _compilers(variants: Sequence[VariantName]) -> dict[VariantName, EngineCompiler]:
    """The compilers of the variants whose targets have one."""
    return {
        variant: compiler.narrowed(variant.precision)
        for variant in variants
        if (compiler := targets.find(variant.target, variant.precision).compiler) is not None
    }
