"""The command line: parse, call one function, hand the result to the display."""

import atexit
import gc
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from distilforge import release as releases
from distilforge.errors import ReleaseError

from pipeline.build import StageName
from pipeline.cli import (
    build_command,
    build_options,
    display,
    graph_commands,
    options,
    package_command,
    remote_commands,
    streams,
    trust_commands,
)
from pipeline.cli.build_options import BuildArguments
from pipeline.cli.reporting import report_errors
from pipeline.cli.signature import with_options
from pipeline.errors import exit_code
from pipeline.release import summary
from pipeline.release.summary import ReleaseLines
from pipeline.store.work import WORK
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

_STAGES: dict[StageName, str] = {
    "export": "Export to ONNX and print the stage's folder.",
    "compile": "Export and compile every variant; print the last one's folder.",
    "validate": "Export, compile and validate; print the stage's folder. Exit 6 if a check fails.",
    "publish": "Build and publish: the same as `build`.",
}
_BUILD = (
    "Build, validate and publish releases. The last line printed is the release's path. A build of several ends with "
    "a table of all of them, and with the worst of their exit codes."
)


Releases = Annotated[
    list[Path], typer.Argument(metavar="RELEASE", help="artifacts/<name>, or version folders inside it.")
]

app.command(
    "build",
    help=_BUILD,
    epilog="Examples: `distilforge build recipes/sentiment.toml`; "
    "`distilforge build ./my-distilbert --data evaluation.jsonl --name reviews`",
)(build_command.command("publish"))
for _stage, _help in _STAGES.items():
    app.command(_stage, help=_help, epilog=f"Example: `distilforge {_stage} ./my-distilbert`")(
        build_command.command(_stage)
    )


@app.command(epilog="Example: `distilforge inspect artifacts/sentiment`")
def inspect(release: options.Release, as_json: options.Json = False) -> None:
    """Print what a release holds: its variants, files, checks and provenance."""
    with report_errors():
        folder = releases.resolve(release)
        manifest = releases.read_manifest(folder)
        if as_json:
            display.result(json.dumps(asdict(manifest), ensure_ascii=False))
        else:
            display.manifest(manifest, folder)


app.command(
    epilog="Examples: `distilforge verify artifacts/sentiment --key publisher.pem`; `distilforge verify artifacts/*/`"
)(trust_commands.verify)
app.command(epilog="Example: `distilforge sign artifacts/sentiment --key key.pem --order 7`")(
    trust_commands.sign
)
app.command(
    epilog="Examples: `distilforge rebuild artifacts/sentiment --recipe recipes/sentiment.toml`; "
    "`distilforge rebuild artifacts/reviews --checkpoint ./my-distilbert --data evaluation.jsonl`"
)(with_options(trust_commands.rebuild))


app.command(epilog="Example: `distilforge push artifacts/sentiment --to s3://models/sentiment`")(
    remote_commands.push
)
app.command(epilog="Example: `distilforge promote s3://models/sentiment 0123456789ab --to stable`")(
    remote_commands.promote
)
app.command(epilog="Example: `distilforge rollback s3://models/sentiment --channel stable`")(
    remote_commands.rollback
)
app.command(epilog="Example: `distilforge prune s3://models/sentiment --keep 5`")(remote_commands.prune)


@app.command(name="summary", epilog="Example: `distilforge summary artifacts/*/ --markdown`")
def summarize(
    release: options.Releases,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print a table over releases: metric, error, speed-up and verdict; exit 4 if a folder is not a release."""
    with report_errors() as listener:
        manifests, damaged = [], []
        for folder in release:
            try:
                manifests.append(releases.read_manifest(releases.resolve(folder)))
            except ReleaseError as error:
                damaged.append(error)
        entries = [ReleaseLines(name=manifest.name, lines=summary.lines(manifest)) for manifest in manifests]
        lines = [line for entry in entries for line in entry.lines]
        if as_json:
            for line in lines:
                display.result(json.dumps(asdict(line), ensure_ascii=False))
        elif markdown:
            display.markdown(summary.COLUMNS, [line.cells() for line in lines])
        else:
            display.releases(entries)
        for other in damaged[:-1]:
            listener.error(str(other))
        if damaged:
            raise damaged[-1]


app.command(
    epilog="Examples: `distilforge package artifacts/sentiment --for ovms --test`; "
    "`distilforge package artifacts/sentiment --for tar --platform aarch64 --output ./device`"
)(package_command.package)
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
    release: options.Release,
    variant: options.OneVariant = None,
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Find the modules that cost a variant accuracy; print how much each costs, and which to exclude."""
    with report_errors(verbose) as listener:
        from pipeline.bisection import bisect as search
        from pipeline.bisection import show

        progress = show.progress_messages(listener)
        costs = search.bisect(release, variant=variant, checkpoint=checkpoint, data=data, progress=progress)
    if as_json:
        display.result(json.dumps(asdict(costs), ensure_ascii=False))
    else:
        display.table(show.COLUMNS, show.rows(costs))
        for line in show.summary(costs):
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
    """Search for the fastest plan on this machine that meets the gates; print the path of its file."""
    with report_errors(verbose) as listener:
        from pipeline.tuning.tune import tune as search

        arguments = BuildArguments(
            head=head, variants=[f"{target}:{precision}"], evaluation=data, calibration=calibration
        )
        recipe = build_options.recipe(source, arguments)
        tuned = search(
            recipe,
            recipe.variants[0],
            minutes=minutes,
            output=output or Path(f"{recipe.name}.plans.toml"),
            artifacts=artifacts,
            seed=seed,
            listener=listener,
        )
        listener.note(tuned.usage)
    display.result(json.dumps(asdict(tuned), ensure_ascii=False) if as_json else tuned.path)


@app.command(epilog="Example: `distilforge check model.onnx --for tensorrt-rtx`")
def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Any ONNX file.")],
    target: Annotated[str, typer.Option("--for", metavar="TARGET", help="A target with engines.")],
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Print what prevents an engine from being built from an ONNX file; exit 5 if anything does."""
    with report_errors(verbose):
        from pipeline import targets
        from pipeline.engines.preflight import check
        from pipeline.engines.preflight import table as preflight_table

        report = check.check(model, targets.find_compiler(target))
        if as_json:
            display.result(json.dumps(report.to_json(), ensure_ascii=False))
        else:
            display.table(("", ""), preflight_table.facts(report))
            rows = preflight_table.rows(report)
            if rows:
                display.table(preflight_table.COLUMNS, rows)
            else:
                display.result(preflight_table.clear(report))
        check.judge(report)


@app.command(epilog="Example: `distilforge convert ./my-bert ./my-distilbert`")
def convert(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A folder or a hub id, or the folder of a PEFT adapter."),
    ],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="The folder to write.")],
    base: Annotated[
        str | None, typer.Option(metavar="FOLDER|ID", help="The base model of the adapter in SOURCE.")
    ] = None,
) -> None:
    """Write a PyTorch checkpoint of a DistilBERT from a BERT, TensorFlow's or Flax's weights, or a LoRA adapter."""
    with report_errors():
        from model_src import convert as conversion

        display.result(str(conversion.convert(source, destination, base=base)))


@app.command(epilog="Example: `distilforge clean --artifacts artifacts`")
def clean(artifacts: options.Artifacts = options.ARTIFACTS) -> None:
    """Remove the work folder, so that the next build starts from nothing; releases stay."""
    with report_errors():
        removed_bytes = clean_work(artifacts / WORK)
        display.result(f"removed {artifacts / WORK}: {removed_bytes / 1e6:.1f} MB")


# The runtime parses the options of these commands, which also run without the pipeline
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=FORWARDED, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Time a release's variants on this machine, so that distilforge.open takes the fastest here from now on."""
    _forward(context)


@app.command(context_settings=FORWARDED, add_help_option=False)
def run(context: typer.Context) -> None:
    """Answer every row of a file; if a run stops early, the same command continues it."""
    _forward(context)


@app.command(context_settings=FORWARDED, add_help_option=False)
def pull(context: typer.Context) -> None:
    """Download a release from a URL, and check every file of it."""
    _forward(context)


@app.command("releases", context_settings=FORWARDED, add_help_option=False)
def list_releases(context: typer.Context) -> None:
    """List the versions and channels at a URL."""
    _forward(context)


@app.command(context_settings=FORWARDED, add_help_option=False)
def serve(context: typer.Context) -> None:
    """Answer requests over HTTP, many of them in one run of the engine."""
    _forward(context)


def _forward(context: typer.Context) -> None:
    from distilforge import command_line

    raise typer.Exit(command_line.main([str(context.info_name), *context.args], program="distilforge"))


def main() -> None:
    """Run the command in `sys.argv`, and end with its exit code."""
    streams.prepare()
    # Python's last garbage collection would take more than a second over PyTorch's objects, and free nothing
    atexit.register(gc.freeze)
    try:
        app()
    except (streams.OutputError, OSError) as cause:
        # Help texts are written by typer, and everything else reports its own errors
        error = streams.refused(cause) if isinstance(cause, OSError) else cause
        display.Display().error(str(error))
        sys.exit(exit_code(error))
