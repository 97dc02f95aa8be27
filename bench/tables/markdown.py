"""Markdown tables that are also easy to read on a terminal."""

import textwrap
from collections.abc import Sequence

NOTHING = "-"
"""The cell of a number that was not measured."""
_COLUMNS = 120


def wrapped(document: str) -> str:
    """`document` with its long lines wrapped, but those of tables; what continues an entry of a list is indented."""

    def wrap(line: str) -> str:
        if len(line) <= _COLUMNS or line.lstrip().startswith("|"):
            return line
        indent = "  " if line.startswith("- ") else ""
        return textwrap.fill(
            line, _COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )

    return "\n".join(map(wrap, document.split("\n")))


def cell(number: float | None, form: str) -> str:
    """`number` in the format `form`; a dash for None."""
    return NOTHING if number is None else format(number, form)


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are aligned in plain text too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])
