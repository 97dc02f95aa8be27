"""Texts and tokens a second, as tables."""

from collections.abc import Sequence

from bench.contest.limit import Limit
from bench.contest.ratios import CONFIDENCE
from bench.tables import steadiness
from bench.tables.contest_table import limit_table
from bench.tables.markdown import NOTHING, cell, grid
from bench.texts.limits import seconds_per_token
from bench.texts.run import TextReport, Throughput

MICROSECONDS = 1e6
NOTE = (
    "Texts are answered in batches of 32 as they come (arrival), in batches of 32 sorted by length over the whole list "
    "(sorted), in the batches that session(list) makes (session), or one by one as they come (single). Batches are "
    "compared with the first subject's session, and single texts with its single texts. Tokenizing is counted, with "
    "the same tokenizer for every subject; it is not counted in the time of a token by length. Every subject runs in a "
    "process of its own, in turns with the others, on the same number of threads."
)


def markdown(report: TextReport, limits: Sequence[Limit]) -> str:
    """The whole report."""
    sections = [NOTE]
    for result in report.heads:
        size = f"{result.shape.batch} texts, {result.tokens} tokens, the longest has {result.shape.tokens}"
        sections += [
            f"## {result.head}: {size}",
            head_table(result),
            steadiness.markdown(result.timing.steadiness),
        ]
    sections += [
        "## Time a token, by the length of texts",
        length_table(report),
        steadiness.markdown(report.lengths.steadiness),
        "## Limits",
        limit_table(limits),
        "## Conditions",
        "\n".join(f"- {name}: {text}" for name, text in {**report.settings, **report.conditions}.items()),
    ]
    omissions = [*report.omissions, *(omission for result in report.heads for omission in result.omissions)]
    if omissions:
        sections += [
            "Left out:",
            "\n".join(f"- {omission.name}: {omission.reason}" for omission in omissions),
        ]
    return "\n\n".join(sections) + "\n"


def head_table(result: Throughput) -> str:
    """One line for each subject: its texts and tokens a second, and how many times as fast as it the first one is.

    For single texts that is the first one with single texts.
    """
    timing, shape = result.timing, result.shape
    first = next(iter(result.names))
    first_single = next((name for name, (_, order) in result.names.items() if order == "single"), first)
    lines = []
    for name, (row, order) in result.names.items():
        seconds = timing.seconds(name, shape, confidence=CONFIDENCE)
        ratio = timing.ratio(first_single if order == "single" else first, name, confidence=CONFIDENCE)
        lines.append(
            (
                row,
                order,
                f"{result.slots[order] / result.tokens:.2f}",
                cell(None if seconds is None else shape.batch / seconds.value, ".0f"),
                cell(None if seconds is None else result.tokens / seconds.value, ".0f"),
                NOTHING if ratio is None else str(ratio),
            )
        )
    header = (
        "subject",
        "order",
        "slots / tokens",
        "texts a second",
        "tokens a second",
        "the first is faster by",
    )
    return grid(header, lines)


def length_table(report: TextReport) -> str:
    """Microseconds a token at each length, with a line for each row."""
    lengths = [shape.tokens for shape in report.lengths.shapes]
    return grid(
        ("microseconds a token, at tokens of a text", *map(str, lengths)),
        [
            (
                name,
                *(
                    f"{MICROSECONDS * times[tokens]:.1f}" if tokens in times else NOTHING
                    for tokens in lengths
                ),
            )
            for name, times in seconds_per_token(report.lengths).items()
        ],
    )
