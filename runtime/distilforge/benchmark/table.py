"""A benchmark's result as a text that fits 80 columns."""

from collections.abc import Iterator
from textwrap import wrap

from distilforge.benchmark.result import BenchmarkResult, OverallSpeed, ShapeSpeed
from distilforge.timing.ratios import CONFIDENCE, Estimate

WIDTH = 80
"""The longest line, in columns."""
_HEADINGS = ("shape", "ms", "interval", "texts/s", "tokens/s", "x first", "interval")
_COLUMNS = (8, 9, 17, 9, 9, 8, 13)


def text(result: BenchmarkResult) -> str:
    """The result as text, with a block for each variant.

    If the timing was not steady, the text has the times, but does not say that a variant is faster.
    """
    return "\n".join(_lines(result))


def _lines(result: BenchmarkResult) -> Iterator[str]:
    processor = result.conditions.processor
    threads = result.conditions.threads
    versions = ", ".join(f"{name} {version}" for name, version in result.conditions.versions.items())
    yield from _paragraph(f"{result.name} {result.version}, measured {result.measured_at}")
    yield from _paragraph(
        f"on {processor.cores} core{'' if processor.cores == 1 else 's'} of {processor.model}, "
        f"{'the default number of' if threads is None else threads} thread{'' if threads == 1 else 's'}"
    )
    sets = " ".join(processor.instruction_sets) or "not listed by this system"
    yield from _paragraph(f"instruction sets: {sets}")
    for gpu in result.conditions.gpus:
        yield from _paragraph(f"GPU: {gpu}")
    yield from _paragraph(versions)
    if not result.steadiness.steady:
        yield ""
        yield from _paragraph(f"NOT SETTLED: {'; '.join(result.steadiness.reasons)}.")
        yield from _paragraph(
            "The times below are what was measured. Nothing is claimed, and nothing is remembered."
        )
    for overall in result.variants:
        yield ""
        yield from _paragraph(f"{overall.variant}{_claim(result.first, overall)}")
        yield _row(_HEADINGS)
        for speed in result.speeds:
            if speed.variant == overall.variant:
                yield _row(_cells(speed))
    yield ""
    if result.texts is not None:
        yield from _paragraph(
            f"A run answered {result.texts.rows} rows of {result.texts.file}, {result.texts.calls}, tokenizing "
            "included."
        )
    yield from _paragraph(
        f"shape: {'texts x tokens' if result.texts is None else 'rows x their mean tokens'}. Medians over rounds; each "
        f"end of an interval holds at {CONFIDENCE:.0%}. x first: times as fast as {result.first}."
    )
    if result.choices is not None:
        yield from _paragraph(f"A text had {result.choices} choices; tokens are counted over all of them.")
    for refusal in result.refusals:
        yield from _paragraph(f"{refusal.variant} does not take {refusal.shape}: {refusal.reason}")
    for name, reason in result.cannot_run.items():
        yield from _paragraph(f"{name} cannot run here: {reason}")


def _claim(first: str, overall: OverallSpeed) -> str:
    times = overall.times_as_fast
    if overall.variant == first or times is None:
        return ""
    interval = f", {_span(times)}" if times.interval else ""
    return f": {times.value:.2f} times as fast as {first} over all shapes{interval}"


def _cells(speed: ShapeSpeed) -> tuple[str, ...]:
    times = speed.times_as_fast
    return (
        str(speed.shape),
        _short(speed.milliseconds.value),
        _span(speed.milliseconds),
        f"{speed.texts_per_second.value:.0f}",
        f"{speed.tokens_per_second.value:.0f}",
        "-" if times is None else f"{times.value:.2f}",
        "-" if times is None else _span(times),
    )


def _span(estimate: Estimate) -> str:
    if estimate.interval is None:
        return "-"
    low, high = estimate.interval
    return f"{_short(low)} to {_short(high)}"


def _short(number: float) -> str:
    """Three significant digits, or all digits before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def _row(cells: tuple[str, ...]) -> str:
    first, *others = zip(cells, _COLUMNS, strict=True)
    return f"  {first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in others)


def _paragraph(words: str) -> list[str]:
    return wrap(words, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
