"""Several releases in one go: one that fails does not stop the others."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import errors
from pipeline.build import Built, StageName
from pipeline.cli import options
from pipeline.cli.display import Display
from pipeline.cli.reporting import tell
from pipeline.errors import EXPECTED
from pipeline.recipe.recipe import Recipe
from pipeline.release.summary import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A release that was not built, or not published."""

    name: str
    """Its name, or the source's where that could not be read."""
    error: Exception
    """What stopped it, one of pipeline.errors.EXPECTED."""

    @property
    def exit_code(self) -> int:
        """What a build of it alone exits with."""
        return errors.exit_code(self.error)

    def to_json(self) -> str:
        """One line of JSON."""
        values = {"name": self.name, "error": str(self.error), "exit_code": self.exit_code}
        return json.dumps(values, ensure_ascii=False)


def build_each(
    sources: Sequence[str],
    read: Callable[[str], Recipe],
    make: Callable[[str, Recipe], Built],
    *,
    name: str | None,
    shown: Display,
    verbose: bool,
) -> Iterator[Built | Failed]:
    """What became of each of `sources`, in order; each error is told when it happens.

    All are read before the first is made. Raises UsageError, before any work, where two would be published under one
    name; `name` is the one that was asked for. Errors that do not explain themselves end everything, as Ctrl-C does.
    """
    recipes = [_read(source, read, shown, verbose) for source in sources]
    options.check_distinct([recipe.name if isinstance(recipe, Recipe) else name or "" for recipe in recipes])
    for source, recipe in zip(sources, recipes, strict=True):
        yield recipe if isinstance(recipe, Failed) else _made(source, recipe, make, shown, verbose)


def told(end: Built | Failed, until: StageName) -> Told:
    """What the table over releases says of `end`, where builds went up to the stage `until`."""
    if isinstance(end, Failed):
        return Told(name=end.name, outcome=errors.brief(end.error))
    return Told(name=end.name, lines=end.lines, outcome=f"{until} done")


def exit_code(ends: Sequence[Built | Failed]) -> int:
    """That of the worst; 0 where all was done."""
    return errors.worst(end.exit_code for end in ends if isinstance(end, Failed))


def _read(source: str, read: Callable[[str], Recipe], shown: Display, verbose: bool) -> Recipe | Failed:
    try:
        return read(source)
    except EXPECTED as error:
        tell(error, shown, verbose=verbose, about=source)
        path = Path(source)
        return Failed(name=path.stem if path.suffix == options.RECIPE_SUFFIX else source, error=error)


def _made(
    source: str, recipe: Recipe, make: Callable[[str, Recipe], Built], shown: Display, verbose: bool
) -> Built | Failed:
    try:
        return make(source, recipe)
    except EXPECTED as error:
        tell(error, shown, verbose=verbose, about=recipe.name)
        return Failed(name=recipe.name, error=error)
