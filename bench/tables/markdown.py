"""Markdown tables that are also easy to read on a terminal."""

from collections.abc import Sequence

NOTHING = "-"
"""The cell of a number that was not measured."""


def cell(number: float | None, form: str) -> str:
    """`number` in the format `form`; a dash for None."""
    return NOTHING if number is None else format(number, form)


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are aligned in plain text too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])
