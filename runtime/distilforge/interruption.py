"""Ctrl-C while a command or a package is imported, and while Python ends."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT."""

Command = Callable[[], int | None]

# The file that Python names as the source of its own import
_IMPORT = "<frozen importlib._bootstrap>"


def run_interruptible(load: Callable[[], Command]) -> int | None:
    """Call the command that `load` imports, and return its exit code, or INTERRUPTED after Ctrl-C.

    The process must end next: from then on, Ctrl-C does nothing, or ends it at once if it came before.
    """
    # A shell lets what it starts in the background ignore Ctrl-C
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, _end)
    command = load()
    try:
        if is_heard:
            signal.signal(signal.SIGINT, interrupt)
        try:
            return command()
        finally:
            _answer_with(signal.SIG_IGN)
    except KeyboardInterrupt:
        # A second one, while the command cleaned up: Python may have to wait for threads, which one more must end
        _answer_with(_end)
        return INTERRUPTED


def interrupt(number: int, frame: FrameType | None) -> None:
    """Answer a signal with KeyboardInterrupt, at once or when the package that is being imported has been imported.

    Packages make other errors of an exception while they are imported, and PyTorch ends the process. A second signal
    is answered at once, so that an import that hangs can be ended.
    """
    importer = _importer(frame)
    tracer = sys.gettrace()
    if importer is not None and tracer is None:
        # Python calls it at the importer's next line, and only if something is traced
        importer.f_trace = _raise
        sys.settrace(_trace_nothing)
        return
    if tracer is _trace_nothing:
        sys.settrace(None)
    raise KeyboardInterrupt


def _importer(frame: FrameType | None) -> FrameType | None:
    """What imports the package that is being imported in `frame`, or None if no package is."""
    importer = None
    is_import = False
    while frame is not None:
        was_import, is_import = is_import, frame.f_code.co_filename == _IMPORT
        if was_import and not is_import:
            importer = frame
        frame = frame.f_back
    return importer


def _raise(frame: FrameType, event: str, argument: object) -> None:
    raise KeyboardInterrupt


def _trace_nothing(frame: FrameType, event: str, argument: object) -> None:
    """Trace no function that is called."""


def _end(number: int, frame: object) -> None:
    """End at once.

    While packages are imported, there is nothing to undo, and they make other errors of an exception.
    """
    os._exit(INTERRUPTED)


def _answer_with(handler: signal.Handlers | Callable[[int, object], None]) -> None:
    """Answer Ctrl-C with `handler` while Python ends: by itself, Python would kill the process."""
    signal.signal(signal.SIGINT, handler)
    # If Ctrl-C came while a text was executed, as dataclasses do, Python kills itself at its end, whatever caught it.
    # The next text that is executed makes it forget that
    exec("")  # noqa: S102 - a text of our own
