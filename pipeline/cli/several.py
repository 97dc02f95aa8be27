"""Builds of several releases: one that fails does not stop the others."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distilforge.urls import without_secrets

from pipeline import errors
from pipeline.build import BuildResult, StageName
from pipeline.cli.build_options import RECIPE_SUFFIX
from pipeline.cli.display import Display
from pipeline.cli.reporting import show_error
from pipeline.errors import EXPECTED, UsageError
from pipeline.recipe.recipe import Recipe
from pipeline.release.summary import ReleaseLines

_HOW_TO_NAME = (
    "give each release a name of its own: build one source at a time, each with its --name; or rename a folder; or "
    "build recipes with different names"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A release that was not built, or not published."""

    name: str
    """The release's name, or the source's if its recipe could not be read."""
    error: Exception
    """Why: one of pipeline.errors.EXPECTED."""

    @property
    def exit_code(self) -> int:
        """The exit code of a build of this release alone."""
        return errors.exit_code(self.error)

    def to_json(self) -> str:
        """The failure as one line of JSON."""
        values = {"name": self.name, "error": without_secrets(str(self.error)), "exit_code": self.exit_code}
        return json.dumps(values, ensure_ascii=False)


def build_each(
    sources: Sequence[str],
    read: Callable[[str], Recipe],
    build_one: Callable[[str, Recipe], BuildResult],
    *,
    name: str | None,
    listener: Display,
    verbose: bool,
) -> Iterator[BuildResult | Failure]:
    """Build each of `sources`, in order, and show each error when it happens.

    All recipes are read before the first build. `name` is the one that the command line gives to every release.
    Raises UsageError, before any build, if two would be published under one name. Ctrl-C and errors that are not
    expected end everything.
    """
    recipes = [_read(source, read, listener, verbose) for source in sources]
    _check_distinct(
        sources, [recipe.name if isinstance(recipe, Recipe) else name or "" for recipe in recipes], given=name
    )
    for source, recipe in zip(sources, recipes, strict=True):
        if isinstance(recipe, Failure):
            yield recipe
        else:
            yield _build(source, recipe, build_one, listener, verbose)


def table_entry(result: BuildResult | Failure, until: StageName) -> ReleaseLines:
    """The entry of `result` in the table over releases, for builds up to the stage `until`."""
    if isinstance(result, Failure):
        return ReleaseLines(name=result.name, outcome=errors.brief(result.error))
    return ReleaseLines(name=result.name, lines=result.lines, outcome=f"{until} done")


def exit_code(results: Sequence[BuildResult | Failure]) -> int:
    """The worst exit code of `results`; 0 if nothing failed."""
    return errors.worst(result.exit_code for result in results if isinstance(result, Failure))


def _check_distinct(sources: Sequence[str], names: Sequence[str], *, given: str | None) -> None:
    """Raise UsageError if two of `sources` have one of the `names`; `given` is the one of the command line."""
    first: dict[str, str] = {}
    for source, name in zip(sources, names, strict=True):
        # An empty name is not known yet
        if name and name in first:
            raise UsageError(
                f"{names.count(name)} builds would publish under the name {name!r}, among them {first[name]!r} and "
                f"{source!r}" + (f": --name gives {name!r} to every source" if given else ""),
                hint=_HOW_TO_NAME if source != first[name] else "give each source once",
            )
        first[name] = source


def _read(source: str, read: Callable[[str], Recipe], listener: Display, verbose: bool) -> Recipe | Failure:
    try:
        return read(source)
    except EXPECTED as error:
        show_error(error, listener, verbose=verbose, about=source)
        path = Path(source)
        return Failure(name=path.stem if path.suffix == RECIPE_SUFFIX else source, error=error)


def _build(
    source: str,
    recipe: Recipe,
    build_one: Callable[[str, Recipe], BuildResult],
    listener: Display,
    verbose: bool,
) -> BuildResult | Failure:
    try:
        return build_one(source, recipe)
    except EXPECTED as error:
        show_error(error, listener, verbose=verbose, about=recipe.name)
        return Failure(name=recipe.name, error=error)
