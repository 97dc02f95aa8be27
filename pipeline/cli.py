"""The command line: parse, call one function, hand the result to the display."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from distilforge import release as releases

from pipeline import compile as targets
from pipeline import display, options, summary
from pipeline.build import WORK, Built, StageName, build
from pipeline.display import Display
from pipeline.errors import EXPECTED, GateError, exit_code
from pipeline.recipe import Recipe
from pipeline.work import clean as clean_work

INTERRUPTED = 130

app = typer.Typer(
    help="DistilBERT checkpoints become validated artifacts: export, compile, validate, publish.\n\n"
    "Exit codes: 0 done, 2 usage, 3 a dependency or device is missing, 4 a checkpoint or release is absent, damaged "
    "or not trusted, 5 a stage failed, 6 a gate said no and nothing was published.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_HELP: dict[StageName, str] = {
    "export": "Export to ONNX and print the stage's folder.",
    "compile": "Export and compile every variant; print the last one's folder.",
    "validate": "Export, compile and validate; print the stage's folder. Exit 6 where a check fails.",
    "publish": "Build and publish: the same as `build`.",
}
_BUILD = "Build, validate and publish a release; the last line printed is its path."


class Kind(StrEnum):
    """What `list` can list."""

    heads = "heads"
    precisions = "precisions"
    targets = "targets"


Release = Annotated[
    Path, typer.Argument(metavar="RELEASE", help="artifacts/<name>, or a version folder inside it.")
]
Releases = Annotated[list[Path], typer.Argument(metavar="RELEASE", help="Releases, as for `inspect`.")]


@contextmanager
def _explaining(verbose: bool = False) -> Iterator[Display]:
    """Turn errors that explain themselves, and Ctrl-C, into a message and an exit code."""
    with Display() as shown:
        try:
            yield shown
        except EXPECTED as error:
            if verbose:
                shown.error("".join(traceback.format_exception(error)))
            shown.error(str(error))
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as stop:
            shown.error(
                "interrupted; nothing half-done was left, and finished stages are kept\n"
                "  hint: run the same command again to go on"
            )
            raise typer.Exit(INTERRUPTED) from stop


def _builder(until: StageName) -> Callable[..., None]:
    """The command that builds up to the stage `until`."""

    def command(
        sources: options.Sources,
        name: options.Name = None,
        head: options.Head = None,
        variant: options.Variants = None,
        data: options.Data = None,
        calibration: options.Calibration = None,
        artifacts: options.Artifacts = options.ARTIFACTS,
        gate: options.Gate = None,
        as_json: options.Json = False,
        verbose: options.Verbose = False,
    ) -> None:
        with _explaining(verbose) as shown:
            recipes = [
                options.recipe(
                    source,
                    name=name,
                    head=head,
                    variants=variant,
                    data=data,
                    calibration=calibration,
                    gate=gate,
                )
                for source in sources
            ]
            options.check_distinct(recipes)
            for recipe in recipes:
                shown.named(recipe.name)
                _show(_build(recipe, artifacts, until, shown), as_json, shown)

    return command


def _build(recipe: Recipe, artifacts: Path, until: StageName, shown: Display) -> Built:
    try:
        return build(recipe, artifacts, shown, until=until)
    except GateError as error:
        shown.verdicts(error.manifest)
        raise


def _show(built: Built, as_json: bool, shown: Display) -> None:
    if not built.new:
        shown.note("nothing to do: everything is up to date")
    if not all(line.validated for line in built.lines):
        shown.verdicts(releases.read_manifest(built.folder))
    values = {**asdict(built), "folder": str(built.folder)}
    display.result(json.dumps(values, ensure_ascii=False) if as_json else str(built.folder))


app.command(
    "build",
    help=_BUILD,
    epilog="Examples: `distilforge build recipes/sentiment.toml`; "
    "`distilforge build ./my-distilbert --data evaluation.jsonl --name reviews`",
)(_builder("publish"))
for _stage, _text in _HELP.items():
    app.command(_stage, help=_text, epilog=f"Example: `distilforge {_stage} ./my-distilbert`")(
        _builder(_stage)
    )


@app.command(epilog="Example: `distilforge inspect artifacts/sentiment`")
def inspect(release: Release, as_json: options.Json = False) -> None:
    """Print what a release holds: variants, files, checks, provenance."""
    with _explaining():
        folder = releases.resolve(release)
        manifest = releases.read_manifest(folder)
        if as_json:
            display.result(json.dumps(asdict(manifest), ensure_ascii=False))
        else:
            display.manifest(manifest, folder)


@app.command(epilog="Example: `distilforge verify artifacts/sentiment`")
def verify(release: Release) -> None:
    """Check every file of a release against its SHA-256; exit 4 where one differs."""
    with _explaining():
        folder = releases.resolve(release)
        manifest = releases.verify(folder)
        display.result(f"{folder}: {len(manifest.files)} files, all as published")


@app.command(name="summary", epilog="Example: `distilforge summary artifacts/*/ --markdown`")
def summarize(
    release: Releases,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print a table over releases: metric, error, speed-up and verdict."""
    with _explaining():
        manifests = [releases.read_manifest(releases.resolve(folder)) for folder in release]
        lines = [line for manifest in manifests for line in summary.lines(manifest)]
        if as_json:
            for line in lines:
                display.result(json.dumps(asdict(line), ensure_ascii=False))
        else:
            show = display.markdown if markdown else display.table
            show(summary.COLUMNS, [line.cells() for line in lines])


@app.command(name="list", epilog="Example: `distilforge list targets`")
def list_names(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List what there is to choose from."""
    with _explaining():
        if kind is Kind.heads:
            from model_src import heads

            names = heads.names()
        else:
            names = targets.targets.names() if kind is Kind.targets else targets.precisions()
        for name in names:
            display.result(name)


@app.command(epilog="Example: `distilforge convert ./my-bert ./my-distilbert`")
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A BERT folder or a hub id.")],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="The folder to write.")],
) -> None:
    """Write a BERT checkpoint as a DistilBERT checkpoint, where an exact one exists."""
    with _explaining():
        from model_src.convert import convert_bert

        display.result(str(convert_bert(source, destination)))


@app.command(epilog="Example: `distilforge clean --artifacts artifacts`")
def clean(artifacts: options.Artifacts = options.ARTIFACTS) -> None:
    """Remove the work folder; releases stay. The next build starts from nothing."""
    with _explaining():
        held = clean_work(artifacts / WORK)
        display.result(f"removed {artifacts / WORK}: {held / 1e6:.1f} MB")


def main() -> None:
    """The console script's entry point."""
    app()
