"""Tables in Markdown, and where documents have theirs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with the heading `columns`; a bar in a cell, which would end it, becomes a slash."""
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def write_table(document: Path, text: str) -> None:
    """Replace what is between the markers of `document` by `text`."""
    before, rest = document.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    document.write_text(before + BEGIN + text + END + after, encoding="utf-8")
