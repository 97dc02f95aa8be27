"""Texts and tokens a second, as a table."""

from bench.contest.ratios import CONFIDENCE
from bench.tables.markdown import cell, grid
from bench.texts.run import Throughput


def markdown(result: Throughput) -> str:
    """One line for each subject: its texts and tokens a second, and how many times as fast as the first it is."""
    timing, shape = result.timing, result.shape
    first = next(iter(result.names))
    lines = []
    for name, (row, order) in result.names.items():
        seconds = timing.seconds(name, shape, confidence=CONFIDENCE)
        ratio = timing.ratio(name, first, confidence=CONFIDENCE)
        lines.append(
            (
                row,
                order,
                f"{result.slots[order] / result.tokens:.2f}",
                cell(None if seconds is None else shape.batch / seconds.value, ".0f"),
                cell(None if seconds is None else result.tokens / seconds.value, ".0f"),
                cell(None if ratio is None else ratio.value, ".2f"),
            )
        )
    title = f"{result.head}: {shape.batch} texts, {result.tokens} tokens, the longest has {shape.tokens}"
    header = ("subject", "order", "slots / tokens", "texts a second", "tokens a second", f"x {first}")
    return f"{title}\n\n{grid(header, lines)}"
