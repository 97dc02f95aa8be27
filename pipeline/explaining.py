"""What every command does with errors: a message, a hint and an exit code in the place of a traceback."""

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pipeline.display import Display
from pipeline.errors import EXPECTED, exit_code

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


@contextmanager
def explaining(verbose: bool = False) -> Iterator[Display]:
    """Turn errors that explain themselves, and Ctrl-C, into a message and an exit code."""
    with Display() as shown:
        try:
            with _terminable():
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
