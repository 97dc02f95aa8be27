"""Assemble: the files of the variants and of the tokenizer become a candidate, a release that is not validated yet."""

from collections.abc import Sequence
from pathlib import Path

from distilforge.manifest import Variant

from pipeline.graph.interface import Interface
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble as release_folder
from pipeline.release import tokenizer
from pipeline.stages.compile import VARIANT
from pipeline.stages.export import INTERFACE
from pipeline.stages.load import Source
from pipeline.store import dependencies, versions
from pipeline.store.work import Stage, WorkFolder


def assemble(
    work: WorkFolder, recipe: Recipe, source: Source, exported: Stage, compiled: Sequence[Stage]
) -> Stage:
    """The stage with the release folder of the candidate."""
    recipe_sha256 = recipe.digest

    def make(folder: Path) -> None:
        for remark in tokenizer.remarks(source.checkpoint):
            work.note(remark)
        variants = [
            (Variant.from_json((stage.folder / VARIANT).read_text(encoding="utf-8"), VARIANT), stage.folder)
            for stage in compiled
        ]
        release_folder.assemble(
            name=recipe.name,
            checkpoint=source.checkpoint,
            checkpoint_sha256=source.digest,
            recipe_sha256=recipe_sha256,
            interface=Interface.read(exported.folder / INTERFACE),
            compiled=variants,
            folder=folder,
        )

    return work.stage(
        "assemble",
        doing="putting the release folder together",
        inputs={
            "name": recipe.name,
            "recipe": recipe_sha256,
            "model": source.model,
            "tokenizer": source.tokenizer,
            "export": exported.digest,
            "compiled": [stage.digest for stage in compiled],
            "tools": versions.of("tokenizers"),
            "source": dependencies.digest_of(make),
        },
        make=make,
    )
