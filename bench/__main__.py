"""The command line: parse, call one function, print what it returns."""

from pathlib import Path
from typing import Annotated

import typer
from distilforge.timing.shape import Shape

from bench import opening, plot, record, steady, table
from bench.ratios import ratios
from bench.rows import Row, time_rows
from bench.run import run as run_all
from bench.shapes import SHAPES
from bench.subjects import subjects

app = typer.Typer(
    help="Time what this project publishes against its peers, in turns within one run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Cache = Annotated[Path, typer.Option(help="Where prepared subjects are kept between runs.")]
Shapes = Annotated[str, typer.Option(help="Texts x tokens, with commas between.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of every subject.")]
CACHE = Path("artifacts/bench/.subjects")
SIX = ",".join(map(str, SHAPES))


def _shapes(text: str) -> tuple[Shape, ...]:
    try:
        return tuple(Shape.parse(one) for one in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _progress(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def run(
    output: Annotated[Path, typer.Option(help="Folder for the table, the plot and the samples.")] = Path(
        "artifacts/bench"
    ),
    cache: Cache = CACHE,
    shapes: Shapes = SIX,
    seconds: Annotated[float, typer.Option(min=0, help="Time for each shape.")] = 35.0,
    threads: Threads = 2,
    ours: Annotated[
        list[str] | None,
        typer.Option(help="Judge this .onnx file as ours; PATH@key=value,... for the session."),
    ] = None,
    builds: Annotated[bool, typer.Option(help="Measure builds too.")] = True,
    build_rounds: Annotated[int, typer.Option(min=1, help="Builds of each builder, in turns.")] = 3,
    enforce: Annotated[
        bool,
        typer.Option(
            "--enforce",
            help="Exit 1 where a limit is missed, a subject is left out or the timing is not steady.",
        ),
    ] = False,
) -> None:
    """Measure latency, builds and the ceiling; write table.md, latency.svg, latency.png and samples.json."""
    report = run_all(
        cache=cache,
        threads=threads,
        shapes=_shapes(shapes),
        seconds=seconds,
        given=ours or (),
        build_rounds=build_rounds if builds else 0,
        progress=_progress,
    )
    output.mkdir(parents=True, exist_ok=True)
    text = table.markdown(report)
    (output / "table.md").write_text(text, encoding="utf-8")
    (output / "samples.json").write_text(record.to_json(report), encoding="utf-8")
    title = f"DistilBERT-base, {threads} threads, {report.conditions['processor']}: medians, and each round as a dot"
    # Where no subject could be timed there is nothing to draw
    for suffix in ("svg", "png") if report.timing.measurements else ():
        plot.draw(report.timing, report.names, report.ours, output / f"latency.{suffix}", title=title)
    typer.echo(text)
    steadiness = report.timing.steadiness
    if enforce and not steadiness.steady:
        typer.echo(steady.verdict(steadiness), err=True)
    if enforce and (report.absent or not all(report.wanted) or not steadiness.steady):
        raise typer.Exit(1)


@app.command()
def quick(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE.onnx", help="PATH or PATH@key=value,key=value.")
    ],
    peers: Cache = CACHE,
    against: Annotated[
        str, typer.Option(help="Subjects, prepared by an earlier run, with commas between.")
    ] = "openvino-int8,optimum-int8,optimum-o2-int8",
    shapes: Shapes = SIX,
    seconds: Annotated[float, typer.Option(min=0, help="Time for each shape.")] = 12.0,
    threads: Threads = 2,
) -> None:
    """Time .onnx files against subjects that an earlier run prepared, and print medians and ratios."""
    rows = [
        Row(name=subjects.find(name).title, subject=name, source=str(peers / name))
        for name in against.split(",")
        if name
    ]
    candidates = [
        Row(name=f"{number} {Path(file.partition('@')[0]).name}", subject="onnx-file", source=file)
        for number, file in enumerate(files, 1)
    ]
    timing, absent = time_rows(
        [opening.subject(row, threads) for row in (*candidates, *rows)],
        _shapes(shapes),
        seconds,
        progress=_progress,
    )
    left_out = {one.name for one in absent}
    names = [row.name for row in (*rows, *candidates) if row.name not in left_out]
    typer.echo("\n\n".join([table.medians(timing, names), *table.refusals(timing)]))
    for candidate in candidates:
        if candidate.name in names:
            others = [name for name in names if name != candidate.name]
            against_it = {name: ratios(timing, candidate.name, [name], title=name) for name in others}
            typer.echo(f"\nTimes faster: {candidate.name}\n{table.ratios(timing, against_it)}")
    typer.echo("\n" + steady.markdown(timing.steadiness))
    for one in absent:
        typer.echo(f"left out: {one.name}: {one.reason}", err=True)


if __name__ == "__main__":
    app(prog_name="python -m bench")
