"""`python -m distilforge`: parse the arguments, call one function, print its result."""

import argparse
import sys
from collections.abc import Callable, Sequence

from distilforge import messages
from distilforge.benchmark import command as bench_command
from distilforge.benchmark import table
from distilforge.benchmark.run import forget_release, run_benchmark
from distilforge.bulk import command as bulk_command
from distilforge.errors import DistilforgeError, InputError, ReleaseError, UnavailableError
from distilforge.interruption import INTERRUPTED, terminable
from distilforge.printable import encodable, printable
from distilforge.remote import command as remote_command
from distilforge.serve import command as serve_command
from distilforge.urls import without_secrets

PROGRAM = "python -m distilforge"
# Exit code when the reader of the output ends, as in `| head`: 128 + SIGPIPE
_CLOSED_PIPE = 141
_FAILED = 5
EXIT_CODES: tuple[tuple[type[DistilforgeError], int], ...] = (
    (InputError, 2),
    (UnavailableError, 3),
    (ReleaseError, 4),
    (DistilforgeError, _FAILED),
)
"""Exit codes by error class; the first class that fits counts."""


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Run the command in `arguments`, or in `sys.argv` if None, and return the exit code.

    `program` is the command that help texts name.
    """
    parser = _parser(program)
    parsed = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], str] | None = getattr(parsed, "command", None)
    if command is None:
        parser.print_help()
        return 0
    try:
        with terminable():
            result = command(parsed)
        return _show(printable(result))
    except DistilforgeError as error:
        # Of whatever argument they were in
        _tell(f"error: {without_secrets(str(error))}")
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        _tell(parsed.interrupted)
        return INTERRUPTED


def _show(result: str) -> int:
    """Print the result and return the exit code."""
    # Standard output is None if it is closed, and print() then does nothing
    encoding = (sys.stdout and sys.stdout.encoding) or "utf-8"
    try:
        print(encodable(result, encoding), flush=True)  # noqa: T201 - the result
    except OSError as cause:
        messages.discard(sys.stdout)
        if isinstance(cause, BrokenPipeError):
            return _CLOSED_PIPE
        _tell(f"error: standard output cannot be written: {cause.strerror}")
        return _FAILED
    return 0


def _bench(parsed: argparse.Namespace) -> str:
    if parsed.forget:
        return forget_release(parsed.release)
    result = run_benchmark(parsed.release, bench_command.options_of(parsed), _tell)
    return result.to_json() if parsed.json else table.text(result)


def _run(parsed: argparse.Namespace) -> str:
    result = bulk_command.run_here(parsed.release, bulk_command.options_of(parsed))
    return result.to_json() if parsed.json else str(result)


def _pull(parsed: argparse.Namespace) -> str:
    result = remote_command.pull_here(parsed, _tell)
    return result.to_json() if parsed.json else str(result)


def _releases(parsed: argparse.Namespace) -> str:
    index = remote_command.index_of(parsed.url, _tell)
    return remote_command.to_json(index) if parsed.json else remote_command.table(index)


def _serve(parsed: argparse.Namespace) -> str:
    return serve_command.serve_here(parsed.release, serve_command.options_of(parsed), _tell)


def _tell(line: str) -> None:
    messages.write(f"{printable(line)}\n")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Run published DistilBERT releases. In Python: distilforge.open(RELEASE).",
        epilog="Exit codes: 0 done, 2 usage, 3 a package or device is missing, 4 the release is absent or damaged, "
        "5 anything else, 130 interrupted.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND")
    bulk_command.add_parser(commands, program, _run)
    remote_command.add_parsers(commands, program, _pull, _releases)
    serve_command.add_parser(commands, program, _serve)
    bench_command.add_parser(commands, program, _bench)
    return parser
