"""`python -m distilforge`: parse, call one function, print its result."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from distilforge.errors import DistilforgeError, InputError, ReleaseError, UnavailableError
from distilforge.measured import table
from distilforge.measured.bench import SECONDS, Options, bench, forget

PROGRAM = "python -m distilforge"
INTERRUPTED = 130
# A reader that went away, as `| head` does, is no error of ours
_CLOSED_PIPE = 141
EXIT_CODES: tuple[tuple[type[DistilforgeError], int], ...] = (
    (InputError, 2),
    (UnavailableError, 3),
    (ReleaseError, 4),
    (DistilforgeError, 5),
)
"""The first class that fits decides."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, the process' own where None; the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], str] | None = getattr(parsed, "command", None)
    if command is None:
        parser.print_help()
        return 0
    try:
        print(command(parsed), flush=True)  # noqa: T201 - the result
    except DistilforgeError as error:
        _tell(f"error: {error}")
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        _tell("interrupted; nothing was remembered")
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more as it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    return 0


def _bench(parsed: argparse.Namespace) -> str:
    if parsed.forget:
        return forget(parsed.release)
    outcome = bench(
        parsed.release,
        Options(
            variants=tuple(parsed.variant),
            shapes=tuple(parsed.shape),
            threads=parsed.threads,
            seconds=parsed.seconds,
            plot=parsed.plot,
            remember=not parsed.no_remember,
        ),
        _tell,
    )
    return outcome.to_json() if parsed.json else table.text(outcome)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that talks


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run published DistilBERT releases. In Python: distilforge.open(RELEASE).",
        epilog="Exit codes: 0 done, 2 usage, 3 a package or device is missing, 4 the release is absent or damaged, "
        "5 anything else, 130 interrupted.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND")
    one = commands.add_parser(
        "bench",
        help="measure a release on this machine, so that distilforge.open takes what is fastest here",
        description="Time every variant of a release that can run on this machine, each in a process of its own. "
        "A steady outcome is remembered, and distilforge.open then takes the fastest.",
        epilog=f"Example: {PROGRAM} bench artifacts/sentiment --threads 2 --plot speed.svg",
        allow_abbrev=False,
    )
    one.set_defaults(command=_bench)
    one.add_argument("release", metavar="RELEASE", help="artifacts/<name>, or a version folder inside it")
    one.add_argument(
        "--variant",
        metavar="T:P",
        action="append",
        default=[],
        help="time this one, as onnxruntime-cpu:int8; several times; default: all that can run here",
    )
    one.add_argument(
        "--shape",
        metavar="TxT",
        action="append",
        default=[],
        help="texts x tokens of a run; several times; default: 1x16, 1x128 and 8x128, as far as the release takes them",
    )
    one.add_argument(
        "--threads", metavar="N", type=int, help="of a run; default: the engine's, as in distilforge.open"
    )
    one.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        default=SECONDS,
        help="at most, a shape; default: %(default)g; an unsteady timing is repeated once",
    )
    one.add_argument(
        "--json", action="store_true", help="print everything, the samples too, as one JSON object"
    )
    one.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="draw the times, .svg or .png; pip install 'distilforge[plot]'",
    )
    one.add_argument("--no-remember", action="store_true", help="let distilforge.open choose as before")
    one.add_argument(
        "--forget", action="store_true", help="remove what is remembered of the release, and measure nothing"
    )
    return parser
