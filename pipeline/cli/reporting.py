"""What every command does with errors: a message, a hint and an exit code in the place of a traceback."""

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pipeline.cli.display import Display
from pipeline.errors import EXPECTED, GateError, exit_code

INTERRUPTED = 130
# What containers, service managers and closed terminals send
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let a request to end undo what is half-done, as Ctrl-C does, in the main thread, which alone hears of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def tell(error: Exception, shown: Display, *, verbose: bool, about: str = "") -> None:
    """Say what went wrong, with the checks behind it where a gate said no; `about` names one release of several."""
    if verbose:
        shown.error("".join(traceback.format_exception(error)))
    if isinstance(error, GateError) and error.manifest.variants:
        shown.verdicts(error.manifest, everything=verbose)
        shown.error(f"{error.headline}\n  hint: {error.hint}")
    else:
        shown.error(f"{about}: {error}" if about else str(error))


@contextmanager
def report_errors(verbose: bool = False) -> Iterator[Display]:
    """Turn errors that explain themselves, and Ctrl-C, into a message and an exit code."""
    with Display() as shown:
        try:
            with _terminable():
                yield shown
        except EXPECTED as error:
            tell(error, shown, verbose=verbose)
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as stop:
            shown.error(
                "interrupted; nothing half-done was left, and finished stages are kept\n"
                "  hint: run the same command again to go on"
            )
            raise typer.Exit(INTERRUPTED) from stop
