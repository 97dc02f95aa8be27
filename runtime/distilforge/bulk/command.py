"""The arguments of `run`, and what it needs installed."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout

from distilforge.bulk.options import SAVE_SECONDS, RunOptions, RunResult
from distilforge.errors import InputError, UnavailableError
from distilforge.status_line import StatusLine

_PACKAGES = ("fsspec", "pyarrow")


def add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    program: str,
    command: Callable[[argparse.Namespace], str],
) -> None:
    """Add the parser of `run`, which calls `command`."""
    parser = commands.add_parser(
        "run",
        help="answer every row of a file",
        description="Answer every row of a JSONL, CSV or Parquet file, in worker processes. If a run stops early, the "
        "same command continues it; until then, the finished answers are in OUTPUT.run.",
        epilog=f"Example: {program} run artifacts/sentiment --input texts.parquet --output answers.parquet",
        allow_abbrev=False,
    )
    parser.set_defaults(command=command, interrupted="interrupted; run the same command again to continue")
    parser.add_argument("release", metavar="RELEASE", help="artifacts/<name>, or a version folder inside it")
    parser.add_argument(
        "--input",
        metavar="FILE",
        required=True,
        help="a path or any URL that fsspec opens; .jsonl, .csv or .parquet. An empty text_pair is a second text, and "
        "null is none; an empty cell of CSV is none",
    )
    parser.add_argument(
        "--output", metavar="FILE", required=True, help="a path or URL; .jsonl, .csv or .parquet, as you like"
    )
    parser.add_argument(
        "--column",
        metavar="NAME=COLUMN",
        action="append",
        default=[],
        help="which column of the input is NAME, such as text=review; may be repeated; default: the same name. A file "
        "without the column is refused",
    )
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an option of the session's call, such as truncation=truncate or top_k=3; may be repeated",
    )
    parser.add_argument(
        "--variant", metavar="T:P", help="the variant that answers; default: the best for this machine"
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="how many workers answer; default: one for each core, and on a GPU at most 4",
    )
    parser.add_argument(
        "--threads", metavar="N", type=int, default=1, help="threads of each worker; default: %(default)s"
    )
    parser.add_argument(
        "--save-every",
        metavar="S",
        type=float,
        default=SAVE_SECONDS,
        help="seconds between two savings of finished answers; default: %(default)g",
    )
    parser.add_argument(
        "--force", action="store_true", help="begin again, and replace whatever output is there"
    )
    parser.add_argument(
        "--ray",
        action="store_true",
        help="answer on the Ray cluster of RAY_ADDRESS; needs pip install 'distilforge[bulk,ray]'",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def options_of(parsed: argparse.Namespace) -> RunOptions:
    """The options in the arguments of `run`."""
    return RunOptions(
        input=parsed.input,
        output=parsed.output,
        columns=columns(parsed.column),
        options=call_options(parsed.option),
        variant=parsed.variant,
        workers=parsed.workers,
        threads=parsed.threads,
        force=parsed.force,
        save_seconds=parsed.save_every,
        ray=parsed.ray,
    )


def columns(values: Sequence[str]) -> dict[str, str]:
    """The pairs of --column; InputError for what is not a pair, or names one column twice."""
    return _pairs("--column", values, "text=review")


def call_options(values: Sequence[str]) -> dict[str, object]:
    """The pairs of --option, whose values are JSON or else text; InputError as for `columns`."""
    return {name: _value(text) for name, text in _pairs("--option", values, "truncation=truncate").items()}


def run_here(release: str, options: RunOptions) -> RunResult:
    """Run with a status line on the terminal; UnavailableError if a package of the extra `bulk` is missing."""
    with needing_packages():
        from distilforge.bulk.run import run
    line = StatusLine()
    try:
        # Ray prints there what happens to its processes, and the result is all that stdout is for
        with redirect_stdout(sys.stderr) if options.ray else nullcontext():
            return run(release, options, line.show)
    finally:
        line.clear()


@contextmanager
def needing_packages() -> Iterator[None]:
    """Raise UnavailableError where an import inside lacks a package of the extra `bulk`."""
    try:
        yield
    except ModuleNotFoundError as cause:
        if cause.name not in _PACKAGES:
            raise
        raise UnavailableError(
            f"reading files needs {' and '.join(_PACKAGES)}; {cause.name} is not installed",
            hint="pip install 'distilforge[bulk]'",
        ) from cause


def _pairs(option: str, values: Sequence[str], example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, sign, rest = value.partition("=")
        if not sign or not name:
            raise InputError(
                f"{option} must be NAME=VALUE, found {value!r:.80}", hint=f"for example {option} {example}"
            )
        if name in pairs:
            raise InputError(
                f"{option} has two values for {name!r:.80}: {pairs[name]!r:.80} and {rest!r:.80}",
                hint="pass one of them",
            )
        pairs[name] = rest
    return pairs


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
