"""The command line: parse, call one function, print the result."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.command_line import (
    SECONDS_HELP,
    SHAPES_HELP,
    enforce,
    parse_shapes,
    print_progress,
    write_and_print,
)
from bench.contest.preparation import row as row_of
from bench.contest.ratios import ratios
from bench.contest.rows import time_rows
from bench.cpu import opening, record, run, table
from bench.models.shapes import SHAPES
from bench.subjects import subjects
from bench.subjects.onnx_file import given_file
from bench.tables import plot, steadiness
from bench.tables.contest_table import refusals
from bench.texts import limits as texts_limits
from bench.texts import record as texts_record
from bench.texts import run as texts_run
from bench.texts import table as texts_table
from bench.texts.batches import HEADS
from pipeline.errors import EXPECTED, exit_code

app = typer.Typer(
    help="Time what this project publishes against its peers, in turns within one run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Cache = Annotated[Path, typer.Option(help="Where prepared subjects are kept between runs.")]
Shapes = Annotated[str, typer.Option(help=SHAPES_HELP)]
Threads = Annotated[int, typer.Option(min=1, help="Threads of every subject.")]
DEFAULT_CACHE = Path("artifacts/bench/.subjects")
DEFAULT_SHAPES = ",".join(map(str, SHAPES))


@app.command("run")
def run_command(
    output: Annotated[Path, typer.Option(help="Folder for the table, the plot and the samples.")] = Path(
        "artifacts/bench"
    ),
    cache: Cache = DEFAULT_CACHE,
    shapes: Shapes = DEFAULT_SHAPES,
    seconds: Annotated[float, typer.Option(min=0, help=SECONDS_HELP)] = 35.0,
    threads: Threads = 2,
    ours: Annotated[
        list[str] | None,
        typer.Option(help="Judge this .onnx file as ours; PATH@key=value,... sets up the session."),
    ] = None,
    builds: Annotated[bool, typer.Option(help="Measure builds too.")] = True,
    build_rounds: Annotated[int, typer.Option(min=1, help="Builds of each builder, in turns.")] = 3,
    enforced: Annotated[
        bool,
        typer.Option(
            "--enforce",
            help="Exit 1 if a limit is missed, the timing is not steady, or a subject is left out that is not "
            "optional and that this machine can run.",
        ),
    ] = False,
) -> None:
    """Measure latency, builds and the ceiling; write table.md, latency.svg, latency.png and samples.json."""
    report = run.run(
        cache=cache,
        threads=threads,
        shapes=parse_shapes(shapes),
        seconds=seconds,
        given=ours or (),
        build_rounds=build_rounds if builds else 0,
        progress=print_progress,
    )
    contest = report.contest
    write_and_print(output, table.markdown(report), record.to_json(report))
    processor = contest.conditions["processor"]
    title = f"DistilBERT-base, {threads} threads, {processor}: medians, and each round as a dot"
    # If no subject could be timed there is nothing to draw
    for suffix in ("svg", "png") if contest.timing.measurements else ():
        plot.draw(contest.timing, contest.names, contest.judged, output / f"latency.{suffix}", title=title)
    if enforced:
        complete = all(omission.tolerated for omission in contest.omissions)
        enforce(contest, limits_are_met=all(report.limits) and complete)


@app.command("quick")
def quick_command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE.onnx", help="PATH or PATH@key=value,key=value.")
    ],
    peers: Cache = DEFAULT_CACHE,
    against: Annotated[
        str, typer.Option(help="Subjects that an earlier run prepared, separated by commas.")
    ] = "openvino-int8,optimum-int8,optimum-o2-int8",
    shapes: Shapes = DEFAULT_SHAPES,
    seconds: Annotated[float, typer.Option(min=0, help=SECONDS_HELP)] = 12.0,
    threads: Threads = 2,
) -> None:
    """Time .onnx files against subjects that an earlier run prepared; print medians and ratios."""
    candidates = [
        given_file(file, name=f"{number} {Path(file.partition('@')[0]).name}")
        for number, file in enumerate(files, 1)
    ]
    rows = [row_of(subjects.find(name), peers / name) for name in against.split(",") if name]
    timing, omissions = time_rows(
        [opening.timing_subject(row, threads) for row in (*candidates, *rows)],
        parse_shapes(shapes),
        seconds,
        progress=print_progress,
    )
    omitted = {omission.name for omission in omissions}
    names = [row.name for row in (*rows, *candidates) if row.name not in omitted]
    typer.echo("\n\n".join([table.median_table(timing, names), *refusals(timing)]))
    for candidate in candidates:
        if candidate.name in names:
            others = [name for name in names if name != candidate.name]
            to_others = {name: ratios(timing, candidate.name, [name], title=name) for name in others}
            typer.echo(f"\nTimes faster: {candidate.name}\n{table.ratio_table(timing, to_others)}")
    typer.echo("\n" + steadiness.markdown(timing.steadiness))
    for omission in omissions:
        typer.echo(f"left out: {omission.name}: {omission.reason}", err=True)


@app.command("texts")
def texts_command(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE.onnx", help="Judged first; PATH or PATH@key=value,key=value."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for texts.md and texts.json.")] = Path(
        "artifacts/bench"
    ),
    cache: Cache = DEFAULT_CACHE,
    named: Annotated[
        str, typer.Option("--subjects", help="What is timed, separated by commas; the first one is judged.")
    ] = "ours-int8,ours-openvino-int8-bf16,openvino-int8,optimum-int8",
    heads: Annotated[str, typer.Option(help="Heads whose evaluation texts are answered.")] = ",".join(HEADS),
    checkpoint: Annotated[
        Path, typer.Option(help="The sequence classifier of which subjects are made; with tokenizer.json.")
    ] = Path("demo/checkpoints/sentiment"),
    texts: Annotated[int, typer.Option(min=1, help="At most so many texts of each head.")] = 96,
    seconds: Annotated[float, typer.Option(min=0, help="Time for each head.")] = 45.0,
    threads: Threads = 2,
    enforced: Annotated[
        bool, typer.Option("--enforce", help="Exit 1 if a limit is missed or a timing is not steady.")
    ] = False,
) -> None:
    """Time subjects on real texts of every head; write texts.md and texts.json.

    A peer gets batches of 32, as the texts come and sorted by length, and single texts; ours also gets the batches of
    session(list).
    """
    report = texts_run.run(
        [given_file(file) for file in files or ()],
        [name for name in named.split(",") if name],
        heads=heads.split(","),
        checkpoint=checkpoint,
        cache=cache / "texts",
        base_cache=cache,
        install=run.INSTALL,
        most=texts,
        threads=threads,
        seconds=seconds,
        progress=print_progress,
    )
    judged = texts_limits.limits(report)
    write_and_print(
        output,
        texts_table.markdown(report, judged),
        texts_record.to_json(report, judged),
        names=("texts.md", "texts.json"),
    )
    if enforced and not (report.steady and all(judged)):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an expected error becomes its message and the exit code that `distilforge` has for it."""
    try:
        app(prog_name="python -m bench")
    except EXPECTED as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
