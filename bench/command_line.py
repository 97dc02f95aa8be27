"""What the command lines on a CPU and on a GPU share."""

from pathlib import Path

import typer
from distilforge.timing.shape import Shape

from bench.contest.contest import Contest
from bench.tables import markdown, steadiness

SHAPES_HELP = "Texts x tokens, separated by commas."
SECONDS_HELP = "Time for each shape."


def parse_shapes(text: str) -> tuple[Shape, ...]:
    """The shapes in `text`, separated by commas; raises typer.BadParameter if one is not a shape."""
    try:
        return tuple(Shape.parse(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def print_progress(text: str) -> None:
    """Print a line of progress to the standard error."""
    typer.echo(text, err=True)


def write_and_print(
    output: Path, table: str, samples: str, *, names: tuple[str, str] = ("table.md", "samples.json")
) -> None:
    """Write the table and the samples into the folder `output`, as files of these names, and print the table."""
    output.mkdir(parents=True, exist_ok=True)
    table_file, samples_file = names
    (output / table_file).write_text(markdown.wrapped(table), encoding="utf-8")
    (output / samples_file).write_text(samples, encoding="utf-8")
    typer.echo(table)


def enforce(contest: Contest, *, limits_are_met: bool) -> None:
    """Exit with code 1 if the timing of `contest` is not steady, or if a limit is not met."""
    steady = contest.timing.steadiness.steady
    if not steady:
        typer.echo(steadiness.verdict(contest.timing.steadiness), err=True)
    if not (steady and limits_are_met):
        raise typer.Exit(1)
