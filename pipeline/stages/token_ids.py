"""Token ids: the tokenizer of the candidate gives the same ids as transformers' AutoTokenizer, or the build fails."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from distilforge.tokenizer import Tokenizer

from model_src.folder import TOKENIZER_FILES
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble
from pipeline.stages.data import data_files
from pipeline.stages.load import Source
from pipeline.store import dependencies, digests, versions
from pipeline.store.work import ProgressListener, Stage, WorkFolder

if TYPE_CHECKING:
    from validation.token_ids.result import TokenIdComparison

COMPARISON = "token_ids.json"


def compare(
    work: WorkFolder, recipe: Recipe, source: Source, made: Stage, listener: ProgressListener
) -> Stage:
    """The comparison of the candidate's token ids with those of transformers, if it is installed."""
    manifest = assemble.read_manifest(made.folder)
    data = data_files(recipe, manifest.head)

    def make(folder: Path) -> None:
        from validation.token_ids import compare, texts

        comparison = compare.compare(
            made.folder,
            source.checkpoint,
            texts.of_data(manifest.head, data.values()),
            longest=min(manifest.spans["sequence"].high, Tokenizer(made.folder).max_tokens),
        )
        (folder / COMPARISON).write_text(comparison.to_json(), encoding="utf-8")

    stage = work.stage(
        "tokens",
        doing="comparing token ids with transformers",
        inputs={
            "checkpoint": source.tokenizer,
            "config": source.model[source.checkpoint.config.name],
            "release": {
                name: manifest.files[name].sha256 for name in TOKENIZER_FILES if name in manifest.files
            },
            "head": manifest.head,
            "longest": manifest.spans["sequence"].high,
            "data": {purpose: digests.of_file(path) for purpose, path in data.items()},
            "tools": versions.of("transformers", "tokenizers", "numpy"),
            "importable": find_spec("transformers") is not None,
            "source": dependencies.digest_of(make),
        },
        make=make,
    )
    if note := read(stage.folder).note:
        listener.note(note)
    return stage


def read(folder: Path) -> "TokenIdComparison":
    """The comparison in the stage's `folder`."""
    from validation.token_ids.result import TokenIdComparison

    path = folder / COMPARISON
    return TokenIdComparison.from_json(path.read_text(encoding="utf-8"), str(path))
