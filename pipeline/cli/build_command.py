"""The building commands: each builds releases up to one stage."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from distilforge import release as releases

from pipeline.build import BuildResult, StageName, build
from pipeline.cli import build_options, display, options, several
from pipeline.cli.build_options import RECIPE_SUFFIX, BuildArguments, SigningArguments
from pipeline.cli.display import Display
from pipeline.cli.reporting import report_errors
from pipeline.cli.several import Failure
from pipeline.cli.signature import with_options
from pipeline.errors import UsageError
from pipeline.recipe.recipe import DEFAULT_VARIANTS, Recipe
from pipeline.remote import push

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="CHECKPOINT_OR_RECIPE",
        help="A Hugging Face DistilBERT folder, a hub id, or a recipe (.toml). Several are built one after another; "
        "if one fails, the others are still built.",
    ),
]
_SMALLER = (
    f"only {DEFAULT_VARIANTS[0]} was built; to build a smaller and faster one beside it: "
    f"--variant {DEFAULT_VARIANTS[0]} --variant onnxruntime-cpu:int8; `distilforge list targets` has all"
)


def command(until: StageName) -> Callable[..., None]:
    """The command that builds up to the stage `until`."""

    def build_releases(
        sources: Sources,
        arguments: BuildArguments,
        signing: SigningArguments,
        artifacts: options.Artifacts = options.ARTIFACTS,
        to: options.Destination = None,
        as_json: options.Json = False,
        verbose: options.Verbose = False,
    ) -> None:
        with report_errors(verbose) as listener:
            signer = signing.signer()
            if signer is not None and until != "publish":
                raise UsageError(
                    f"--sign signs a release, and `distilforge {until}` does not publish one",
                    hint="use `distilforge build`",
                )

            if to is not None:
                _check_destination(to, until, len(sources))

            def read(source: str) -> Recipe:
                return build_options.recipe(source, arguments)

            def build_one(source: str, recipe: Recipe) -> BuildResult:
                listener.named(recipe.name)
                if to is not None:
                    push.check(to, recipe.name, listener.note)
                with build_options.naming_flags(arguments):
                    built = build(recipe, artifacts, listener, until=until, signer=signer)
                if until == "publish" and not arguments.variants and not source.endswith(RECIPE_SUFFIX):
                    listener.note(_SMALLER)
                if to is not None:
                    pushed = push.push(built.folder, to, listener.note)
                    listener.note(f"{pushed.version} is at {pushed.url}")
                _show(built, as_json, listener, verbose)
                return built

            if len(sources) == 1:
                build_one(sources[0], read(sources[0]))
                return
            results = []
            for result in several.build_each(
                sources, read, build_one, name=arguments.name, listener=listener, verbose=verbose
            ):
                results.append(result)
                if as_json and isinstance(result, Failure):
                    display.result(result.to_json())
            if not as_json:
                display.releases([several.table_entry(result, until) for result in results])
            if code := several.exit_code(results):
                raise typer.Exit(code)

    return with_options(build_releases)


def _check_destination(to: str, until: StageName, sources: int) -> None:
    """Raise UsageError if no release, or more than one, would go to the URL `to`."""
    if until != "publish":
        raise UsageError(
            f"--to brings a release to a URL, and `distilforge {until}` does not publish one",
            hint="use `distilforge build`",
        )
    if sources > 1 and push.NAME not in to:
        raise UsageError(
            f"{sources} releases would go to the same place, since --to does not have {push.NAME}",
            hint=f"write it where the release's name belongs, such as --to s3://bucket/{push.NAME}",
        )


def _show(built: BuildResult, as_json: bool, listener: Display, verbose: bool) -> None:
    if not built.new:
        listener.note("up to date: this build changed nothing")
    if not all(line.validated or line.withheld for line in built.lines):
        listener.verdicts(releases.read_manifest(built.folder), everything=verbose)
    values = {**asdict(built), "folder": str(built.folder)}
    display.result(json.dumps(values, ensure_ascii=False) if as_json else str(built.folder))
