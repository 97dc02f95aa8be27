"""The command line: `python -m bench.gpu --output FOLDER`. The exit code is 3 if there is no device."""

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
from bench.gpu import device, record, table
from bench.gpu.run import run
from bench.gpu.shapes import SHAPES
from bench.gpu.subjects import subjects
from pipeline.errors import PipelineError

NO_DEVICE = 3
DEFAULT_SHAPES = ",".join(map(str, SHAPES))


def _parse_names(names: list[str]) -> tuple[str, ...]:
    try:
        return tuple(subjects.find(name).name for name in names)
    except PipelineError as error:
        raise typer.BadParameter(str(error)) from error


def _left_out(without: tuple[str, ...], only: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that are not timed: `without`, and where there are `only`, all others."""
    if without and only:
        raise typer.BadParameter("--only names every column that is timed; leave out --without")
    return tuple(name for name in subjects.names() if name not in only) if only else without


def command(
    output: Annotated[Path, typer.Option(help="Folder for table.md and samples.json.")],
    cache: Annotated[
        Path, typer.Option(help="Where the checkpoint and prepared subjects are written.")
    ] = Path("artifacts/bench-gpu/.subjects"),
    shapes: Annotated[str, typer.Option(help=SHAPES_HELP)] = DEFAULT_SHAPES,
    seconds: Annotated[float, typer.Option(min=0, help=SECONDS_HELP)] = 6.0,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out the column with this name, such as torch-compile.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Time the column with this name, and leave out those not named so."),
    ] = None,
    compiled: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that `distilforge compile` printed, possibly on another machine."),
    ] = None,
    without_memory: Annotated[
        bool,
        typer.Option(
            "--without-memory",
            help="Leave out the memory of each column, which opens it once more: nearly half of a short run.",
        ),
    ] = False,
    enforced: Annotated[
        bool,
        typer.Option(
            "--enforce",
            help="Exit 1 if a limit is missed or was not measured, or the timing is not steady.",
        ),
    ] = False,
) -> None:
    """Time fp16 DistilBERT on an NVIDIA GPU: eager, SDPA, torch.compile, ONNX Runtime CUDA and our engines."""
    chosen_shapes = parse_shapes(shapes)
    left_out = _left_out(_parse_names(without or []), _parse_names(only or []))
    obstacle = device.obstacle()
    if obstacle is not None:
        typer.echo(f"nothing to time here: {obstacle}", err=True)
        raise typer.Exit(NO_DEVICE)
    report = run(
        cache=cache,
        shapes=chosen_shapes,
        seconds=seconds,
        without=left_out,
        compiled=compiled or (),
        with_memory=not without_memory,
        progress=print_progress,
    )
    write_and_print(output, table.markdown(report), record.to_json(report))
    if enforced:
        enforce(report.contest, limits_are_met=all(report.limits))


def main() -> None:
    """Parse and run."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app(prog_name="python -m bench.gpu")


if __name__ == "__main__":
    main()
