"""How every command ends on an error: with a message, a hint and an exit code, and no traceback."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from distilforge.interruption import INTERRUPTED, terminable
from distilforge.urls import without_secrets

from pipeline.cli.display import Display
from pipeline.errors import EXPECTED, GateError, UsageError, exit_code


@contextmanager
def report_errors(verbose: bool = False) -> Iterator[Display]:
    """A display for the command's messages; an expected error, or Ctrl-C, becomes a message and an exit code."""
    with Display() as listener:
        try:
            with terminable():
                yield listener
        except EXPECTED as error:
            show_error(error, listener, verbose=verbose)
            raise typer.Exit(exit_code(error)) from error
        except OSError as cause:
            refusal = UsageError(
                f"the system refuses: {cause}",
                hint="look at the permissions, the name and the space left there",
            )
            refusal.__cause__ = cause
            show_error(refusal, listener, verbose=verbose)
            raise typer.Exit(exit_code(refusal)) from refusal
        except KeyboardInterrupt as cause:
            listener.error(
                "interrupted; nothing half-done was left, and finished stages are kept\n"
                "  hint: run the same command again to continue"
            )
            raise typer.Exit(INTERRUPTED) from cause


def show_error(error: Exception, listener: Display, *, verbose: bool, about: str = "") -> None:
    """Print `error`, and the checks behind it if a gate said no; `about` is the release, if there are several."""
    if verbose:
        listener.error(without_secrets("".join(traceback.format_exception(error))))
    if isinstance(error, GateError) and error.manifest.variants:
        listener.verdicts(error.manifest, everything=verbose)
        listener.error(f"{error.headline}\n  hint: {error.hint}")
    else:
        # Of whatever argument they were in
        text = without_secrets(str(error))
        listener.error(f"{about}: {text}" if about else text)
