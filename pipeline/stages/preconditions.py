"""What can be refused of a checkpoint and its recipe before any work: options, modules, tokenizer, texts.

PyTorch is not imported, so that a build with nothing to do starts at once. Stages refuse the same where they are run by
themselves; here nobody waits for an export to learn of a misspelt name.
"""

import tempfile
from pathlib import Path

from distilforge.heads import heads

from model_src.folder import CheckpointFolder
from pipeline.recipe.recipe import Recipe
from pipeline.release import tokenizer
from pipeline.stages import engines as engines_stage
from pipeline.stages.load import Source
from validation import data

_PACKED = "qkv_lin"
_QUERIES = "q_lin"


def check(recipe: Recipe, source: Source) -> None:
    """Raise what a later stage would, of all that the recipe and the checkpoint's small files tell.

    UsageError for plans, engine options and excluded modules that are not there, MissingError for a toolkit
    or a driver that is not, ConfigurationError and CheckpointError for config.json and the tokenizer, and, where
    the recipe names the head, DataError for texts.
    """
    if recipe.plans is not None:
        for variant in recipe.variants:
            # What differs for a head that is not known yet is read after the export
            recipe.plan(variant, recipe.head or heads.names()[0])
    engines_stage.check(recipe, source)
    _check_modules(recipe, source.checkpoint)
    _check_tokenizer(source.checkpoint)
    if recipe.head:
        check_texts(recipe, source, recipe.head)


def check_texts(recipe: Recipe, source: Source, head: str) -> None:
    """DataError where the recipe's evaluation or calibration data cannot be read as texts of `head`."""
    config = source.checkpoint.configuration()
    if recipe.evaluation is not None:
        examples = data.load(recipe.evaluation, head, config.labels, problem_type=config.problem_type)
        data.check_enough(recipe.evaluation, examples)
    if recipe.calibration is not None:
        data.load(recipe.calibration, head, (), labelled=False)


def _check_modules(recipe: Recipe, checkpoint: CheckpointFolder) -> None:
    """UsageError where `exclude` names no module of the checkpoint, or all; pickled weights tell theirs later."""
    modules = _modules(checkpoint) if recipe.exclude else ()
    if not modules:
        return
    from pipeline.precision.layers.choose import check_exclude

    check_exclude(recipe.exclude, modules)


def _modules(checkpoint: CheckpointFolder) -> tuple[str, ...]:
    """What a scheme may quantize: modules with a matrix, or with a tied one, and attentions."""
    found: dict[str, None] = {}
    shapes = checkpoint.shapes()
    for name, shape in shapes.items():
        module, _, parameter = name.rpartition(".")
        parent, _, last = module.rpartition(".")
        if len(shape) > 1 or (parameter == "bias" and f"{module}.weight" not in shapes):
            found[module] = None
        if last == _QUERIES:
            found |= {f"{parent}.{_PACKED}": None, parent: None}
    return tuple(found)


def _check_tokenizer(checkpoint: CheckpointFolder) -> None:
    config = checkpoint.configuration()
    with tempfile.TemporaryDirectory(prefix="distilforge-") as written:
        tokenizer.write(
            checkpoint,
            Path(written),
            vocab_size=config.vocab_size,
            longest=config.max_position_embeddings,
        )
