"""Ctrl-C where Python or a library would lose it or make another error of it, and while Python ends."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT."""

# Sent by containers, service managers and closed terminals; Windows does not have all of them
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

Command = Callable[[], int | None]

# The file that Python names as the source of its own import
_IMPORT = "<frozen importlib._bootstrap>"
# They call Python from another language, and say that a file is damaged where that raises
_LIBRARIES = frozenset({"safetensors.torch", "safetensors.numpy"})


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
        sys.unraisablehook = _raise_again
        try:
            return command()
        finally:
            _answer_with(signal.SIG_IGN)
    except KeyboardInterrupt:
        # A second one, while the command cleaned up: Python may have to wait for threads, which one more must end
        _answer_with(_end)
        return INTERRUPTED


def interrupt(number: int, frame: FrameType | None) -> None:
    """Answer a signal with KeyboardInterrupt: at once, or as soon as no library would make another error of it.

    While packages are imported, they do, and PyTorch ends the process. A second signal is answered at once, so that an
    import that hangs can be ended.
    """
    outside = _outside_libraries(frame)
    if outside is None or sys.gettrace() is not None:
        raise KeyboardInterrupt
    _raise_in(outside)


@contextmanager
def terminable() -> Iterator[None]:
    """Answer signals that end the process as Ctrl-C is answered, so that unfinished work is undone or kept.

    Those that the process was told to ignore stay ignored, as `nohup` does. Only the main thread receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ENDING}
    heard = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _outside_libraries(frame: FrameType | None) -> FrameType | None:
    """What called the outermost library that `frame` is in and that makes other errors of an exception, if any."""
    outside = None
    is_library = False
    while frame is not None:
        was_library, is_library = is_library, _makes_other_errors(frame)
        if was_library and not is_library:
            outside = frame
        frame = frame.f_back
    return outside


def _makes_other_errors(frame: FrameType) -> bool:
    return frame.f_code.co_filename == _IMPORT or frame.f_globals.get("__name__") in _LIBRARIES


def _raise_in(frame: FrameType) -> None:
    """Raise KeyboardInterrupt at the next line of `frame`, which has called what runs now."""
    # Python calls it there only if something is traced
    frame.f_trace = _raise
    sys.settrace(_trace_nothing)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Raise a KeyboardInterrupt again that Python could only report, where what it came in has ended.

    It came while an object was removed, of which Python says "Exception ignored".
    """
    caller = sys._getframe().f_back
    if issubclass(lost.exc_type, KeyboardInterrupt) and caller is not None:
        _raise_in(_outside_libraries(caller) or caller)
    else:
        sys.__unraisablehook__(lost)


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
