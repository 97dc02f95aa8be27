"""The table over releases for narrow terminals: a heading for each release, a row for each variant, fewer columns."""

import textwrap
from collections.abc import Iterator, Sequence

from pipeline.release.summary import NOT_SETTLED, ReleaseLines, VariantLine, format_number

COLUMNS = ("variant", "eager -> variant", "loss below", "x eager")
_INDENT = "  "
_GAP = "  "
_NARROWEST_VERDICT = 10


def lines(entries: Sequence[ReleaseLines], width: int) -> Iterator[str]:
    """The table's lines, of at most `width` columns unless a word is longer."""
    rows = [_cells(line) for entry in entries for line in entry.lines if not line.withheld]
    headings = [_in_two_lines(column) for column in COLUMNS]
    widths = [max(map(len, column)) for column in zip(*rows, *zip(*headings, strict=True), strict=True)]
    if rows:
        upper, lower = zip(*headings, strict=True)
        yield from _row(upper, widths, "", width)
        yield from _row(lower, widths, "verdict", width)
    for entry in entries:
        yield from _heading(entry, width)
        for line in entry.lines:
            if line.withheld:
                yield from _wrapped(f"{line.variant}{_GAP}{line.verdict}", width, indent=_INDENT)
            else:
                yield from _row(_cells(line), widths, line.verdict, width)
    if rows:
        yield "every column: distilforge summary RELEASE... --markdown"


def _in_two_lines(column: str) -> tuple[str, str]:
    """A column's name in two lines, so that the numbers decide how wide the column is."""
    first, _, second = column.rpartition(" ")
    return first, second


def _cells(line: VariantLine) -> tuple[str, ...]:
    metric = (
        "-"
        if line.eager is None
        else f"{format_number(line.eager, '.4f')} -> {format_number(line.value, '.4f')}"
    )
    return (
        line.variant,
        metric,
        format_number(line.loss, ".4f") if line.loss_settled else NOT_SETTLED,
        line.claimed(line.speedup, ".2f"),
    )


def _heading(entry: ReleaseLines, width: int) -> Iterator[str]:
    if not entry.lines:
        return _wrapped(f"{entry.name}: {entry.outcome}", width)
    head = entry.lines[0].head
    metric = next((line.metric for line in entry.lines if line.metric), "no labelled data")
    return _wrapped(f"{entry.name}: {head}, {metric}", width)


def _row(cells: Sequence[str], widths: Sequence[int], verdict: str, width: int) -> Iterator[str]:
    name, *numbers = cells
    aligned = [
        name.ljust(widths[0]),
        *(cell.rjust(column) for cell, column in zip(numbers, widths[1:], strict=True)),
    ]
    start = f"{_INDENT}{_GAP.join(aligned)}{_GAP}"
    # If a name leaves no room, the verdict goes beyond the edge, and the terminal breaks it
    room = max(width - len(start), _NARROWEST_VERDICT)
    parts = textwrap.wrap(verdict, room, break_long_words=False) or [""]
    yield f"{start}{parts[0]}".rstrip()
    for part in parts[1:]:
        yield f"{' ' * len(start)}{part}"


def _wrapped(text: str, width: int, *, indent: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}{_INDENT * 2}",
        break_long_words=False,
        break_on_hyphens=False,
    )
