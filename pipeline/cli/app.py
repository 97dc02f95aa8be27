"""The command line: parse, call one function, hand the result to the display."""

import atexit
import gc
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from distilforge import release as releases
from distilforge.errors import ReleaseError

from pipeline.build import WORK, Built, StageName, build
from pipeline.cli import display, graph_commands, options, several
from pipeline.cli.display import Display
from pipeline.cli.reporting import report_errors
from pipeline.cli.several import Failed
from pipeline.recipe.recipe import DEFAULT_VARIANTS, Recipe
from pipeline.release import summary
from pipeline.release.summary import Told
from pipeline.store.work import clean as clean_work

app = typer.Typer(
    help="DistilBERT checkpoints become validated artifacts: export, compile, validate, publish.\n\n"
    "Exit codes: 0 done, 2 usage, 3 a dependency or device is missing, 4 a checkpoint or release is absent, damaged "
    "or not trusted, 5 a stage failed, 6 a gate said no and nothing was published, 130 interrupted. A build "
    "of several releases exits with the worst of their codes: the first of 5, 4, 3, 2, 6 that one of them has.",
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
_BUILD = (
    "Build, validate and publish releases. The last line printed is the release's path. Several end with a table of "
    "all, whichever failed, and with the worst exit code: the first of 5, 4, 3, 2, 6 that one of them has."
)


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
        with report_errors(verbose) as shown:
            read = partial(
                options.recipe,
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

            def make(source: str, recipe: Recipe) -> Built:
                shown.named(recipe.name)
                built = build(recipe, artifacts, shown, until=until)
                if until == "publish" and not variant and not source.endswith(options.RECIPE_SUFFIX):
                    shown.note(_MORE)
                _show(built, as_json, shown, verbose)
                return built

            if len(sources) == 1:
                make(sources[0], read(sources[0]))
                return
            ends = []
            for end in several.build_each(sources, read, make, name=name, shown=shown, verbose=verbose):
                ends.append(end)
                if as_json and isinstance(end, Failed):
                    display.result(end.to_json())
            if not as_json:
                display.releases([several.told(end, until) for end in ends])
            if code := several.exit_code(ends):
                raise typer.Exit(code)

    return command


def _show(built: Built, as_json: bool, shown: Display, verbose: bool) -> None:
    if not built.new:
        shown.note("nothing to do: everything is up to date")
    if not all(line.validated for line in built.lines):
        shown.verdicts(releases.read_manifest(built.folder), everything=verbose)
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
    with report_errors():
        folder = releases.resolve(release)
        manifest = releases.read_manifest(folder)
        if as_json:
            display.result(json.dumps(asdict(manifest), ensure_ascii=False))
        else:
            display.manifest(manifest, folder)


@app.command(epilog="Example: `distilforge verify artifacts/sentiment`")
def verify(release: Release) -> None:
    """Check every file of a release against its SHA-256; exit 4 where one differs."""
    with report_errors():
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
    with report_errors() as shown:
        manifests, damaged = [], []
        for folder in release:
            try:
                manifests.append(releases.read_manifest(releases.resolve(folder)))
            except ReleaseError as error:
                damaged.append(error)
        told = [Told(name=manifest.name, lines=summary.lines(manifest)) for manifest in manifests]
        lines = [line for release in told for line in release.lines]
        if as_json:
            for line in lines:
                display.result(json.dumps(asdict(line), ensure_ascii=False))
        elif markdown:
            display.markdown(summary.COLUMNS, [line.cells() for line in lines])
        else:
            display.releases(told)
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
    with report_errors(verbose) as shown:
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
    with report_errors(verbose) as shown:
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
    target: Annotated[str, typer.Option("--for", metavar="TARGET", help="A target with engines.")],
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Say what keeps an engine from being built of an ONNX file, before any build; exit 5 where something does."""
    with report_errors(verbose):
        from pipeline import targets
        from pipeline.engines.preflight import check
        from pipeline.engines.preflight import table as preflight_table

        found = check.check(model, targets.find_compiler(target))
        if as_json:
            display.result(json.dumps(found.to_json(), ensure_ascii=False))
        else:
            display.table(("", ""), preflight_table.facts(found))
            rows = preflight_table.rows(found)
            if rows:
                display.table(preflight_table.COLUMNS, rows)
            else:
                display.result(preflight_table.clear(found))
        check.judge(found)


@app.command(epilog="Example: `distilforge convert ./my-bert ./my-distilbert`")
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A BERT folder or a hub id.")],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="The folder to write.")],
) -> None:
    """Write a BERT checkpoint as a DistilBERT checkpoint, where an exact one exists."""
    with report_errors():
        from model_src.convert import convert_bert

        display.result(str(convert_bert(source, destination)))


@app.command(epilog="Example: `distilforge clean --artifacts artifacts`")
def clean(artifacts: options.Artifacts = options.ARTIFACTS) -> None:
    """Remove the work folder; releases stay. The next build starts from nothing."""
    with report_errors():
        held = clean_work(artifacts / WORK)
        display.result(f"removed {artifacts / WORK}: {held / 1e6:.1f} MB")


@app.command(epilog="Example: `distilforge bench artifacts/sentiment --threads 2 --plot speed.svg`")
def bench(
    release: Release,
    variant: options.TimedVariants = None,
    shape: options.Shapes = None,
    threads: options.Threads = None,
    seconds: options.Seconds = 5.0,
    plot: options.Plot = None,
    no_remember: options.NoRemember = False,
    forget: options.Forget = False,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Time a release's variants on this machine, and remember, so that distilforge.open takes the fastest here."""
    with report_errors(verbose) as shown:
        from distilforge.measured import bench as measured
        from distilforge.measured import table

        if forget:
            display.result(measured.forget(release))
            return
        asked = measured.Options(
            variants=tuple(variant or ()),
            shapes=tuple(shape or ()),
            threads=threads,
            seconds=seconds,
            plot=plot,
            remember=not no_remember,
        )
        outcome = measured.bench(release, asked, shown.note)
    display.result(outcome.to_json() if as_json else table.text(outcome))


def main() -> None:
    """The console script's entry point."""
    # Python collects once more as it ends; over all that PyTorch made, that takes more than a second and frees nothing
    atexit.register(gc.freeze)
    app()
