"""The command line: parse, call one function, hand the result to the display."""

import atexit
import gc
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from distilforge import release as releases
from distilforge.errors import ReleaseError

from pipeline import display, graph_commands, options, summary
from pipeline.build import WORK, Built, StageName, build
from pipeline.display import Display
from pipeline.errors import GateError
from pipeline.explaining import explaining
from pipeline.recipe import DEFAULT_VARIANTS, Recipe
from pipeline.work import clean as clean_work

app = typer.Typer(
    help="DistilBERT checkpoints become validated artifacts: export, compile, validate, publish.\n\n"
    "Exit codes: 0 done, 2 usage, 3 a dependency or device is missing, 4 a checkpoint or release is absent, damaged "
    "or not trusted, 5 a stage failed, 6 a gate said no and nothing was published, 130 interrupted.",
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
_MORE = (
    f"built {DEFAULT_VARIANTS[0]} alone; a smaller and faster one beside it: --variant {DEFAULT_VARIANTS[0]} "
    "--variant onnxruntime-cpu:int8; `distilforge list targets` has all"
)
_BUILD = "Build, validate and publish a release; the last line printed is its path."


Release = Annotated[
    Path, typer.Argument(metavar="RELEASE", help="artifacts/<name>, or a version folder inside it.")
]
Releases = Annotated[list[Path], typer.Argument(metavar="RELEASE", help="Releases, as for `inspect`.")]


def _builder(until: StageName) -> Callable[..., None]:
    """The command that builds up to the stage `until`."""

    def command(
        sources: options.Sources,
        name: options.Name = None,
        head: options.Head = None,
        variant: options.Variants = None,
        data: options.Data = None,
        calibration: options.Calibration = None,
        plans: options.Plans = None,
        exclude: options.Exclude = None,
        capability: options.Capabilities = None,
        bucket: options.Buckets = None,
        timing_cache: options.TimingCache = None,
        artifacts: options.Artifacts = options.ARTIFACTS,
        gate: options.Gate = None,
        as_json: options.Json = False,
        verbose: options.Verbose = False,
    ) -> None:
        with explaining(verbose) as shown:
            recipes = [
                options.recipe(
                    source,
                    name=name,
                    head=head,
                    variants=variant,
                    data=data,
                    calibration=calibration,
                    plans=plans,
                    exclude=exclude,
                    gate=gate,
                    capabilities=capability,
                    buckets=bucket,
                    timing_cache=timing_cache,
                )
                for source in sources
            ]
            options.check_distinct(recipes)
            for source, recipe in zip(sources, recipes, strict=True):
                shown.named(recipe.name)
                built = _build(recipe, artifacts, until, shown)
                if until == "publish" and not variant and not source.endswith(options.RECIPE_SUFFIX):
                    shown.note(_MORE)
                _show(built, as_json, shown)

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
    with explaining():
        folder = releases.resolve(release)
        manifest = releases.read_manifest(folder)
        if as_json:
            display.result(json.dumps(asdict(manifest), ensure_ascii=False))
        else:
            display.manifest(manifest, folder)


@app.command(epilog="Example: `distilforge verify artifacts/sentiment`")
def verify(release: Release) -> None:
    """Check every file of a release against its SHA-256; exit 4 where one differs."""
    with explaining():
        folder = releases.resolve(release)
        manifest = releases.verify(folder)
        display.result(f"{folder}: {len(manifest.files)} files, all as published")


@app.command(name="summary", epilog="Example: `distilforge summary artifacts/*/ --markdown`")
def summarize(
    release: Releases,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print a table over releases: metric, error, speed-up and verdict; exit 4 where one of the folders is none."""
    with explaining() as shown:
        manifests, damaged = [], []
        for folder in release:
            try:
                manifests.append(releases.read_manifest(releases.resolve(folder)))
            except ReleaseError as error:
                damaged.append(error)
        lines = [line for manifest in manifests for line in summary.lines(manifest)]
        if as_json:
            for line in lines:
                display.result(json.dumps(asdict(line), ensure_ascii=False))
        else:
            show = display.markdown if markdown else display.table
            show(summary.COLUMNS, [line.cells() for line in lines])
        for other in damaged[:-1]:
            shown.error(str(other))
        if damaged:
            raise damaged[-1]


app.command("list", epilog="Example: `distilforge list passes`")(graph_commands.list_names)
app.command(epilog="Example: `distilforge fuse model.onnx --pass attention_mha --output fused.onnx`")(
    graph_commands.fuse
)
app.command(
    epilog="Example: `distilforge quantize model.onnx --scheme int8_static --checkpoint ./my-distilbert "
    "--calibration texts.jsonl --output model_quantized.onnx`"
)(graph_commands.quantize)


@app.command(epilog="Example: `distilforge bisect artifacts/sentiment --variant onnxruntime-cpu:int8`")
def bisect(
    release: Release,
    variant: options.OneVariant = None,
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Name the modules that cost a variant accuracy, with numbers, and what to exclude."""
    with explaining(verbose) as shown:
        from pipeline.bisection import bisect as search
        from pipeline.bisection import show

        tell = show.telling(shown)
        found = search.bisect(release, variant=variant, checkpoint=checkpoint, data=data, progress=tell)
    if as_json:
        display.result(json.dumps(asdict(found), ensure_ascii=False))
    else:
        display.table(show.COLUMNS, show.rows(found))
        for line in show.summary(found):
            display.result(line)


@app.command(epilog="Example: `distilforge tune recipes/sentiment.toml --precision int8 --minutes 20`")
def tune(
    source: options.Source,
    target: options.Target = "onnxruntime-cpu",
    precision: options.Precision = "int8",
    minutes: options.Minutes = 20.0,
    output: options.Output = None,
    head: options.Head = None,
    data: options.Data = None,
    calibration: options.Calibration = None,
    artifacts: options.Artifacts = options.ARTIFACTS,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Search for the fastest plan on this machine that meets the gates; print the file that it is saved in."""
    with explaining(verbose) as shown:
        from pipeline.tuning.tune import tune as search

        recipe = options.recipe(
            source,
            name=None,
            head=head,
            variants=[f"{target}:{precision}"],
            data=data,
            calibration=calibration,
            plans=None,
            exclude=None,
            gate=None,
        )
        tuned = search(
            recipe,
            recipe.variants[0],
            minutes=minutes,
            output=output or Path(f"{recipe.name}.plans.toml"),
            artifacts=artifacts,
            seed=seed,
            talk=shown,
        )
        shown.note(tuned.usage)
    display.result(json.dumps(asdict(tuned), ensure_ascii=False) if as_json else tuned.path)


@app.command(epilog="Example: `distilforge check model.onnx --for tensorrt-rtx`")
def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Any ONNX file.")],
    flavour: Annotated[str, typer.Option("--for", metavar="TARGET", help="A target with engines.")],
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Say what keeps an engine from being built of an ONNX file, before any build; exit 5 where something does."""
    with explaining(verbose):
        from pipeline.engines import preflight, preflight_table

        found = preflight.check(model, preflight.find(flavour))
        if as_json:
            display.result(json.dumps(found.to_json(), ensure_ascii=False))
        else:
            display.table(("", ""), preflight_table.facts(found))
            rows = preflight_table.rows(found)
            if rows:
                display.table(preflight_table.COLUMNS, rows)
            else:
                display.result(preflight_table.clear(found))
        preflight.judge(found)


@app.command(epilog="Example: `distilforge convert ./my-bert ./my-distilbert`")
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A BERT folder or a hub id.")],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="The folder to write.")],
) -> None:
    """Write a BERT checkpoint as a DistilBERT checkpoint, where an exact one exists."""
    with explaining():
        from model_src.convert import convert_bert

        display.result(str(convert_bert(source, destination)))


@app.command(epilog="Example: `distilforge clean --artifacts artifacts`")
def clean(artifacts: options.Artifacts = options.ARTIFACTS) -> None:
    """Remove the work folder; releases stay. The next build starts from nothing."""
    with explaining():
        held = clean_work(artifacts / WORK)
        display.result(f"removed {artifacts / WORK}: {held / 1e6:.1f} MB")


def main() -> None:
    """The console script's entry point."""
    # Python collects once more as it ends; over all that PyTorch made, that takes more than a second and frees nothing
    atexit.register(gc.freeze)
    app()
