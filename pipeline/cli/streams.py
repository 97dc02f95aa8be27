"""Standard output and error, whatever they lead to: closed, a pipe without a reader, a full disk, an ASCII terminal."""

import io
import os
import sys
from types import TracebackType
from typing import TextIO

from distilforge.messages import discard
from distilforge.printable import encodable
from rich.console import Console

from pipeline.errors import PipelineError


class OutputError(PipelineError):
    """Standard output cannot be written, so a result is lost."""


class MessageConsole(Console):
    """The console for messages, on stderr. Once they cannot be written, messages are lost and work continues."""

    def __init__(self) -> None:
        # Without markup and emoji, so that brackets and colons in names and paths stay as they are
        super().__init__(stderr=True, highlight=False, markup=False, emoji=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was printed since the context began."""
        try:
            super().__exit__(kind, error, trace)
        # Rich answers a pipe without a reader itself, and raises the error of a full disk
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Discard all messages from now on."""
        self.quiet = True
        discard(sys.stderr)


def prepare() -> None:
    """Make the standard streams usable; the process calls it once, first.

    A closed one is opened on the null device: the next file that is opened would get its number, and libraries that
    print to that number would write into the file. Help texts get escapes for characters that the encoding lacks.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is given out
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or _null(1)
    sys.stderr = sys.stderr or _null(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    r"""Write `text` to stdout, with `\uXXXX` for characters that its encoding lacks; OutputError if that fails.

    If the reader of a pipe has ended, as `head` does, the text is discarded.
    """
    try:
        sys.stdout.write(encodable(text, sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as cause:
        raise refused(cause) from cause


def refused(cause: OSError) -> OutputError:
    """The error for `cause`, after which nothing more is written to stdout."""
    discard(sys.stdout)
    return OutputError(
        f"standard output cannot be written: {cause.strerror}",
        hint="a finished build is kept; run the same command again with another output",
    )


def _null(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding="utf-8", closefd=False)
