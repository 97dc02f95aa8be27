"""`python -m distilforge`: parse the arguments, call one function, print its result."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from distilforge import messages
from distilforge.benchmark import table
from distilforge.benchmark.run import SECONDS, BenchmarkOptions, forget_release, run_benchmark
from distilforge.bulk import command as bulk_command
from distilforge.errors import DistilforgeError, InputError, ReleaseError, UnavailableError
from distilforge.interruption import INTERRUPTED
from distilforge.printable import encodable, printable
from distilforge.remote import command as remote_command
from distilforge.serve import command as serve_command

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
        return _show(printable(command(parsed)))
    except DistilforgeError as error:
        _tell(f"error: {error}")
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
    result = run_benchmark(
        parsed.release,
        BenchmarkOptions(
            variants=tuple(parsed.variant),
            shapes=tuple(parsed.shape),
            threads=parsed.threads,
            seconds=parsed.seconds,
            plot=parsed.plot,
            remember=not parsed.no_remember,
        ),
        _tell,
    )
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
    bench_parser = commands.add_parser(
        "bench",
        help="time a release's variants on this machine, so that distilforge.open takes the fastest",
        description="Time every variant of a release that can run on this machine, each in a process of its own. "
        "A steady result is remembered, and distilforge.open then takes the fastest variant.",
        epilog=f"Example: {program} bench artifacts/sentiment --threads 2 --plot speed.svg",
        allow_abbrev=False,
    )
    bench_parser.set_defaults(command=_bench, interrupted="interrupted; nothing was remembered")
    bench_parser.add_argument(
        "release", metavar="RELEASE", help="artifacts/<name>, or a version folder inside it"
    )
    bench_parser.add_argument(
        "--variant",
        metavar="TARGET:PRECISION",
        action="append",
        default=[],
        help="a variant to time, such as onnxruntime-cpu:int8; may be repeated; default: all that can run here",
    )
    bench_parser.add_argument(
        "--shape",
        metavar="TEXTSxTOKENS",
        action="append",
        default=[],
        help="size of a run; may be repeated; default: 1x16, 1x128 and 8x128, or the nearest that "
        "the release takes",
    )
    bench_parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="threads of a run, as in distilforge.open; default: the engine's",
    )
    bench_parser.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        default=SECONDS,
        help="time for each shape, all variants together; default: %(default)g; warming up and the first "
        "5 rounds may take longer; an unsteady timing is repeated once",
    )
    bench_parser.add_argument(
        "--json", action="store_true", help="print everything as one JSON object, with every sample"
    )
    bench_parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="draw the times as .svg or .png; needs pip install 'distilforge[plot]'",
    )
    bench_parser.add_argument(
        "--no-remember",
        action="store_true",
        help="only measure; distilforge.open selects a variant as before",
    )
    bench_parser.add_argument(
        "--forget", action="store_true", help="remove what is remembered of the release, and measure nothing"
    )
    return parser
