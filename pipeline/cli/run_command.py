"""`distilforge run`: the runtime's command, with the pipeline's way to report errors."""

from typing import Annotated

import typer
from distilforge.bulk import command
from distilforge.bulk.options import SAVE_SECONDS, RunOptions

from pipeline.cli import display, options
from pipeline.cli.reporting import report_errors


def run(
    release: options.Release,
    source: Annotated[
        str,
        typer.Option(
            "--input", metavar="FILE", help="A path or any URL that fsspec opens; .jsonl, .csv or .parquet."
        ),
    ],
    output: Annotated[str, typer.Option(metavar="FILE", help="A path or URL; .jsonl, .csv or .parquet.")],
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN",
            help="Which column of the input is NAME, such as text=review; may be repeated.",
            show_default=False,
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="An option of the session's call, such as truncation=truncate or top_k=3; may be repeated.",
            show_default=False,
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="T:P",
            help="The variant that answers; default: the best for this machine.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How many workers answer; default: one for each core.", show_default=False
        ),
    ] = None,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of each worker.")] = 1,
    save_every: Annotated[
        float, typer.Option(metavar="S", help="Seconds between two savings of finished answers.")
    ] = SAVE_SECONDS,
    force: Annotated[
        bool, typer.Option("--force", help="Begin again, and replace whatever output is there.")
    ] = False,
    ray: Annotated[
        bool, typer.Option("--ray", help="Answer on the Ray cluster of RAY_ADDRESS; needs the extra `ray`.")
    ] = False,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Answer every row of a file; the same command goes on where a run was ended."""
    with report_errors(verbose):
        run_options = RunOptions(
            input=source,
            output=output,
            columns=command.columns(column or ()),
            options=command.call_options(option or ()),
            variant=variant,
            workers=workers,
            threads=threads,
            force=force,
            save_seconds=save_every,
            ray=ray,
        )
        result = command.run_here(str(release), run_options)
        display.result(result.to_json() if as_json else str(result))
