"""Checks of a recipe and its checkpoint before any work: plans, engine options, modules, tokenizer and texts.

They find a misspelt name before the export, which takes minutes. Each stage makes the same checks, since it can run
alone. PyTorch is not imported here, so that a build with nothing to do ends at once.
"""

import tempfile
from pathlib import Path

from distilforge.heads import heads
from distilforge.limits import MOST_TEXT_CHARACTERS

from model_src.errors import CheckpointError
from model_src.folder import CheckpointFolder
from pipeline.errors import UsageError
from pipeline.passes import registry
from pipeline.precision import check_plan, schemes
from pipeline.recipe.plan import preset
from pipeline.recipe.recipe import Recipe
from pipeline.registry import unknown
from pipeline.release import tokenizer
from pipeline.stages import engines as engines_stage
from pipeline.stages.load import Source
from validation import data

_PACKED = "qkv_lin"
_QUERIES = "q_lin"


def check(recipe: Recipe, source: Source) -> None:
    """Raise the errors of later stages that show in the recipe and in the checkpoint's small files.

    Raises UsageError for plans, engine options and excluded modules that do not exist, MissingError for a compiler or
    a driver that is not installed, ConfigurationError and CheckpointError for config.json and the tokenizer, and
    DataError for texts, if the recipe names the head.
    """
    _check_plans(recipe, recipe.head)
    _check_batch_dependent(recipe)
    engines_stage.check(recipe, source)
    _check_modules(recipe, source.checkpoint)
    _check_labels(source.checkpoint)
    _check_tokenizer(source.checkpoint)
    if recipe.head:
        _check_texts(recipe, source, recipe.head)


def check_spans(recipe: Recipe) -> None:
    """UsageError where an axis has one size: its graph has that size and no axis, of which a release cannot speak."""
    for axis, span in recipe.spans.items():
        if span.low == span.high:
            raise UsageError(
                f"the span of {axis!r} has the one size {span.low}, and the axes of a release have at least two",
                hint=f"{axis} = [{max(1, span.low - 1)}, {span.usual}, {max(2, span.high)}]; `distilforge export` and "
                "`compile` write graphs of one size",
            )


def check_with_head(recipe: Recipe, source: Source, head: str) -> None:
    """Make the checks that need the head, which the export knows, where the recipe does not name it; `check` has not.

    Raises UsageError for plans, and DataError for texts.
    """
    if recipe.head is None:
        _check_plans(recipe, head)
        _check_texts(recipe, source, head)


def _check_plans(recipe: Recipe, head: str | None) -> None:
    """UsageError where the recipe's own plans for `head` cannot be read, name no pass, or have unusable options.

    Where the head is not known yet, options are not checked.
    """
    for variant in recipe.variants if recipe.plans is not None else ():
        # Any head shows whether they can be read
        plan = preset(variant.target, variant.precision, head or heads.names()[0], recipe.plans)
        try:
            for name in (*plan.passes, *plan.final_passes):
                registry.find(name)
            if head is not None:
                check_plan(plan)
        except UsageError as error:
            raise UsageError(
                f"{recipe.plans}: {variant.precision}: {error.message}", hint=error.hint
            ) from error


def _check_batch_dependent(recipe: Recipe) -> None:
    """UsageError where the gates let something else than a scheme depend on the batch: no pass on graphs does."""
    for name in recipe.gates.batch_dependent:
        if name not in schemes.names():
            raise unknown("scheme in gates.batch_dependent", name, schemes.names())


def _check_texts(recipe: Recipe, source: Source, head: str) -> None:
    """DataError where the recipe's evaluation or calibration data cannot be read as texts of `head`."""
    config = source.checkpoint.configuration()
    if recipe.evaluation is not None:
        examples = data.load(recipe.evaluation, head, config.labels, problem_type=config.problem_type)
        data.check_enough(recipe.evaluation, examples)
    if recipe.calibration is not None:
        data.load(recipe.calibration, head, (), labelled=False)


def _check_modules(recipe: Recipe, checkpoint: CheckpointFolder) -> None:
    """UsageError where `exclude` matches no module of the checkpoint, or all of them.

    The modules of pickled weights are not known before they are loaded.
    """
    modules = _modules(checkpoint) if recipe.exclude else ()
    if not modules:
        return
    from pipeline.precision.layers.choose import check_exclude

    check_exclude(recipe.exclude, modules)


def _modules(checkpoint: CheckpointFolder) -> tuple[str, ...]:
    """The modules that a scheme can quantize: those with a matrix, their own or a tied one, and attentions."""
    modules: dict[str, None] = {}
    shapes = checkpoint.shapes()
    for name, shape in shapes.items():
        module, _, parameter = name.rpartition(".")
        parent, _, last = module.rpartition(".")
        if len(shape) > 1 or (parameter == "bias" and f"{module}.weight" not in shapes):
            modules[module] = None
        if last == _QUERIES:
            modules |= {f"{parent}.{_PACKED}": None, parent: None}
    return tuple(modules)


def _check_labels(checkpoint: CheckpointFolder) -> None:
    """CheckpointError for a label that is too long for a release."""
    for label in checkpoint.configuration().labels:
        if len(label) > MOST_TEXT_CHARACTERS:
            raise CheckpointError(
                f"the label {label!r:.80} of {checkpoint.path} has {len(label):,} characters; at most "
                f"{MOST_TEXT_CHARACTERS:,} are allowed",
                hint="give the class a shorter name in id2label of config.json",
            )


def _check_tokenizer(checkpoint: CheckpointFolder) -> None:
    config = checkpoint.configuration()
    with tempfile.TemporaryDirectory(prefix="distilforge-") as folder:
        tokenizer.write(
            checkpoint,
            Path(folder),
            vocab_size=config.vocab_size,
            longest=checkpoint.longest(),
        )
