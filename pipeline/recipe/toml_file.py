"""Reads a user's TOML file; whatever cannot be read is one error."""

import tomllib
from pathlib import Path

from model_src import json_text
from pipeline.errors import UsageError

MOST_BYTES = 256 << 10
"""The largest TOML file that is read."""
MOST_DOTS = 1_000
"""The most dots in a line: the time for a key such as a.b.c grows with the square of its parts."""


def read_tables(path: Path, *, absent: UsageError) -> dict[str, object]:
    """The tables in the TOML file `path`; raises `absent` if there is no such file.

    Raises UsageError if it cannot be read, if it is not TOML, and if it is too large or nested too deeply.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UsageError(
                f"{path} has more than {MOST_BYTES:,} bytes", hint="it has to be a recipe, or a file of plans"
            )
        text = content.decode("utf-8")
        if any(line.count(".") > MOST_DOTS for line in text.split("\n")):
            raise UsageError(
                f"{path} has a line with more than {MOST_DOTS:,} dots",
                hint="write [tables] in place of long keys",
            )
        tables: dict[str, object] = tomllib.loads(text)
        json_text.check_levels(tables)
    except FileNotFoundError as cause:
        raise absent from cause
    except RecursionError as cause:
        raise UsageError(
            f"{path} is nested deeper than {json_text.MOST_LEVELS} levels",
            hint="no recipe and no plan needs more than three",
        ) from cause
    # Python raises ValueError for malformed TOML and for a number of more than 4,300 digits
    except (OSError, ValueError) as cause:
        raise UsageError(
            f"{path} is not a readable TOML file: {cause}",
            hint="recipes/*.toml are examples, and `distilforge tune` writes plans",
        ) from cause
    return tables
