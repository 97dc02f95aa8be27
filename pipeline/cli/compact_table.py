"""The table over releases for narrow terminals: a heading a release and a row a variant, with the chief columns."""

import textwrap
from collections.abc import Iterator, Sequence

from pipeline.release.summary import NOT_SETTLED, Line, Told, number

COLUMNS = ("variant", "eager -> variant", "loss below", "x eager")
_INDENT = "  "
_GAP = "  "
_NARROWEST_VERDICT = 10


def lines(told: Sequence[Told], width: int) -> Iterator[str]:
    """The table's lines, of at most `width` columns where words allow."""
    rows = [_cells(line) for release in told for line in release.lines if not line.withheld]
    headings = [_broken(column) for column in COLUMNS]
    widths = [max(map(len, column)) for column in zip(*rows, *zip(*headings, strict=True), strict=True)]
    if rows:
        upper, lower = zip(*headings, strict=True)
        yield from _row(upper, widths, "", width)
        yield from _row(lower, widths, "verdict", width)
    for release in told:
        yield from _heading(release, width)
        for line in release.lines:
            if line.withheld:
                yield from _wrapped(f"{line.variant}{_GAP}{line.verdict}", width, indent=_INDENT)
            else:
                yield from _row(_cells(line), widths, line.verdict, width)
    if rows:
        yield "every column: distilforge summary RELEASE... --markdown"


def _broken(column: str) -> tuple[str, str]:
    """A column's name over two lines, so that numbers and not names say how wide it is."""
    first, _, second = column.rpartition(" ")
    return first, second


def _cells(line: Line) -> tuple[str, ...]:
    metric = "-" if line.eager is None else f"{number(line.eager, '.4f')} -> {number(line.value, '.4f')}"
    return (
        line.variant,
        metric,
        number(line.loss, ".4f") if line.loss_settled else NOT_SETTLED,
        line.claimed(line.speedup, ".2f"),
    )


def _heading(release: Told, width: int) -> Iterator[str]:
    if not release.lines:
        return _wrapped(f"{release.name}: {release.outcome}", width)
    first = release.lines[0]
    metric = next((line.metric for line in release.lines if line.metric), "no labelled data")
    return _wrapped(f"{release.name}: {first.head}, {metric}", width)


def _row(cells: Sequence[str], widths: Sequence[int], verdict: str, width: int) -> Iterator[str]:
    name, *numbers = cells
    aligned = [
        name.ljust(widths[0]),
        *(cell.rjust(wide) for cell, wide in zip(numbers, widths[1:], strict=True)),
    ]
    start = f"{_INDENT}{_GAP.join(aligned)}{_GAP}"
    # Where a name leaves no room, the verdict goes beyond the edge: the terminal breaks it
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
