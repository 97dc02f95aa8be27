"""The command line: `python -m bench.gpu --output FOLDER`; exit code 3 where there is no device."""

from pathlib import Path
from typing import Annotated

import typer
from distilforge.timing.shape import Shape

from bench import steady
from bench.gpu import device, record, table
from bench.gpu.run import run
from bench.gpu.shapes import SHAPES
from bench.gpu.subjects import subjects
from pipeline.errors import PipelineError

NO_DEVICE = 3
ALL = ",".join(map(str, SHAPES))


def _shapes(text: str) -> tuple[Shape, ...]:
    try:
        return tuple(Shape.parse(one) for one in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _columns(names: list[str]) -> tuple[str, ...]:
    try:
        return tuple(subjects.find(name).name for name in names)
    except PipelineError as error:
        raise typer.BadParameter(str(error)) from error


def _progress(text: str) -> None:
    typer.echo(text, err=True)


def command(
    output: Annotated[Path, typer.Option(help="Folder for table.md and samples.json.")],
    cache: Annotated[Path, typer.Option(help="Where the checkpoint and what is made of it are kept.")] = Path(
        "artifacts/bench-gpu/.subjects"
    ),
    shapes: Annotated[str, typer.Option(help="Texts x tokens, with commas between.")] = ALL,
    seconds: Annotated[float, typer.Option(min=0, help="Time for each shape.")] = 6.0,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this column out, by its name: torch-compile, for example.")
    ] = None,
    compiled: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that `distilforge compile` printed, possibly on another machine."),
    ] = None,
    enforce: Annotated[
        bool,
        typer.Option(
            "--enforce",
            help="Exit 1 where a limit is missed or was not measured, or the timing is not steady.",
        ),
    ] = False,
) -> None:
    """Time fp16 DistilBERT on an NVIDIA GPU: eager, SDPA, torch.compile, ONNX Runtime CUDA and our engines."""
    wanted, left_out = _shapes(shapes), _columns(without or [])
    obstacle = device.obstacle()
    if obstacle is not None:
        typer.echo(f"nothing to time here: {obstacle}", err=True)
        raise typer.Exit(NO_DEVICE)
    report = run(
        cache=cache,
        shapes=wanted,
        seconds=seconds,
        without=left_out,
        given=compiled or (),
        progress=_progress,
    )
    output.mkdir(parents=True, exist_ok=True)
    text = table.markdown(report)
    (output / "table.md").write_text(text, encoding="utf-8")
    (output / "samples.json").write_text(record.to_json(report), encoding="utf-8")
    typer.echo(text)
    steadiness = report.timing.steadiness
    if enforce and not steadiness.steady:
        typer.echo(steady.verdict(steadiness), err=True)
    if enforce and not (all(report.wanted) and steadiness.steady):
        raise typer.Exit(1)


def main() -> None:
    """Parse and run."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app(prog_name="python -m bench.gpu")


if __name__ == "__main__":
    main()
