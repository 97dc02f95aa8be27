"""What every command does with errors: a message, a hint and an exit code in the place of a traceback."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pipeline.display import Display
from pipeline.errors import EXPECTED, exit_code

INTERRUPTED = 130


@contextmanager
def explaining(verbose: bool = False) -> Iterator[Display]:
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
