"""The arguments of `bench`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from distilforge.benchmark.run import SECONDS, BenchmarkOptions
from distilforge.benchmark.timed_texts import MOST_ROWS, TextOptions
from distilforge.bulk import command as bulk_command
from distilforge.errors import InputError


def add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    program: str,
    command: Callable[[argparse.Namespace], str],
) -> None:
    """Add the parser of `bench`, which calls `command`."""
    parser = commands.add_parser(
        "bench",
        help="time a release's variants on this machine, so that distilforge.open takes the fastest",
        description="Time every variant of a release that can run on this machine, each in a process of its own. "
        "A steady result is remembered, and distilforge.open then takes the fastest variant.",
        epilog=f"Example: {program} bench artifacts/sentiment --threads 2 --plot speed.svg",
        allow_abbrev=False,
    )
    parser.set_defaults(command=command, interrupted="interrupted; nothing was remembered")
    parser.add_argument("release", metavar="RELEASE", help="artifacts/<name>, or a version folder inside it")
    parser.add_argument(
        "--variant",
        metavar="TARGET:PRECISION",
        action="append",
        default=[],
        help="a variant to time, such as onnxruntime-cpu:int8; may be repeated; default: all that can run here",
    )
    parser.add_argument(
        "--shape",
        metavar="TEXTSxTOKENS",
        action="append",
        default=[],
        help="size of a run; may be repeated; default: 1x16, 1x128 and 8x128, or the nearest that "
        "the release takes",
    )
    parser.add_argument(
        "--texts",
        metavar="FILE",
        help=f"time the first {MOST_ROWS} rows of a file in place of shapes, as an application asks them: .jsonl, .csv "
        "or .parquet, with the columns that `run` reads; needs pip install 'distilforge[bulk]'",
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="with --texts: all rows are the list of one call; default: each row has a call of its own",
    )
    parser.add_argument(
        "--column",
        metavar="NAME=COLUMN",
        action="append",
        default=[],
        help="with --texts: which column of the file is NAME, such as text=review; may be repeated",
    )
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="with --texts: an option of the session's call, such as truncation=truncate; may be repeated",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="threads of a run, as in distilforge.open; default: the engine's",
    )
    parser.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        default=SECONDS,
        help="time for each shape, all variants together; default: %(default)g; warming up and the first "
        "5 rounds may take longer; an unsteady timing is repeated once",
    )
    parser.add_argument(
        "--json", action="store_true", help="print everything as one JSON object, with every sample"
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="draw the times as .svg or .png; needs pip install 'distilforge[plot]'",
    )
    parser.add_argument(
        "--no-remember",
        action="store_true",
        help="only measure; distilforge.open selects a variant as before",
    )
    parser.add_argument(
        "--forget", action="store_true", help="remove what is remembered of the release, and measure nothing"
    )


def options_of(parsed: argparse.Namespace) -> BenchmarkOptions:
    """The options in the arguments of `bench`; InputError for one of --texts without it."""
    return BenchmarkOptions(
        variants=tuple(parsed.variant),
        shapes=tuple(parsed.shape),
        texts=_texts(parsed),
        threads=parsed.threads,
        seconds=parsed.seconds,
        plot=parsed.plot,
        remember=not parsed.no_remember,
    )


def _texts(parsed: argparse.Namespace) -> TextOptions | None:
    if parsed.texts is None:
        for option, given in (
            ("--together", parsed.together),
            ("--column", parsed.column),
            ("--option", parsed.option),
        ):
            if given:
                raise InputError(
                    f"{option} is for texts, and there is no --texts FILE", hint="pass --texts FILE too"
                )
        return None
    return TextOptions(
        file=parsed.texts,
        columns=bulk_command.columns(parsed.column),
        call_options=bulk_command.call_options(parsed.option),
        together=parsed.together,
    )
