"""An outcome as text that fits 80 columns."""

from collections.abc import Iterator
from textwrap import wrap

from distilforge.measured.outcome import Outcome, Speed
from distilforge.timing.ratios import CONFIDENCE, Estimate

WIDTH = 80
_HEADINGS = ("shape", "ms", "interval", "texts/s", "tokens/s", "x first", "interval")
_COLUMNS = (8, 9, 17, 9, 9, 8, 13)


def text(outcome: Outcome) -> str:
    """What was measured, a block a variant; where the timing was not steady, no variant is called faster."""
    return "\n".join(_lines(outcome))


def _lines(outcome: Outcome) -> Iterator[str]:
    processor = outcome.conditions.processor
    threads = outcome.conditions.threads
    versions = ", ".join(f"{name} {version}" for name, version in outcome.conditions.versions.items())
    yield from _paragraph(f"{outcome.name} {outcome.version}, measured {outcome.measured}")
    yield from _paragraph(
        f"on {processor.cores} core{'' if processor.cores == 1 else 's'} of {processor.model}, "
        f"{'the engine decides on' if threads is None else threads} thread{'' if threads == 1 else 's'}"
    )
    sets = " ".join(processor.instruction_sets) or "not told by this system"
    yield from _paragraph(f"instruction sets: {sets}")
    yield from _paragraph(versions)
    if not outcome.steadiness.steady:
        yield ""
        yield from _paragraph(f"NOT SETTLED: {'; '.join(outcome.steadiness.reasons)}.")
        yield from _paragraph("The times below are what was seen; nothing is claimed and nothing remembered.")
    for overall in outcome.variants:
        yield ""
        yield from _paragraph(f"{overall.variant}{_claim(outcome, overall.variant, overall.times_as_fast)}")
        yield _row(_HEADINGS)
        for speed in outcome.speeds:
            if speed.variant == overall.variant:
                yield _row(_cells(speed, claimed=outcome.steadiness.steady))
    yield ""
    yield from _paragraph(
        "shape: texts x tokens. Medians over rounds; each end of an interval holds at "
        f"{CONFIDENCE:.0%}. x first: times as fast as {outcome.first}."
    )
    if outcome.choices is not None:
        yield from _paragraph(f"A text had {outcome.choices} choices; tokens are counted over all of them.")
    for refusal in outcome.refusals:
        yield from _paragraph(f"{refusal.variant} does not take {refusal.shape}: {refusal.reason}")
    for name, reason in outcome.cannot_run.items():
        yield from _paragraph(f"{name} cannot run here: {reason}")


def _claim(outcome: Outcome, variant: str, times: Estimate | None) -> str:
    if variant == outcome.first or not outcome.steadiness.steady or times is None:
        return ""
    low_high = f", {_span(times)}" if times.interval else ""
    return f": {times.value:.2f} times as fast as {outcome.first} over all shapes{low_high}"


def _cells(speed: Speed, *, claimed: bool) -> tuple[str, ...]:
    times = speed.times_as_fast if claimed else None
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
    """Three digits, or all of those before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def _row(cells: tuple[str, ...]) -> str:
    first, *others = zip(cells, _COLUMNS, strict=True)
    return f"  {first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in others)


def _paragraph(words: str) -> list[str]:
    return wrap(words, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
