"""Verdicts as text: a block for each variant, with failed checks first."""

import textwrap
from collections.abc import Iterator, Sequence

from distilforge.manifest import Outcome, Variant, Verdict

from validation.reports.numbers import of_verdict

WORST_FIRST: tuple[Outcome, ...] = ("not met", "not settled", "met")
_DIGITS = 4
_INDENT = "  "
_MARK = max(map(len, WORST_FIRST)) + len(_INDENT)


def blocks(variants: Sequence[Variant], width: int, *, everything: bool) -> Iterator[str]:
    """Lines of at most `width` columns: each variant's name and its checks, with failed variants and checks first.

    Checks that are met are only counted in the last line, unless `everything` asks for them.
    """
    for variant in sorted(variants, key=_worst):
        verdicts = [verdict for verdict in ordered(variant) if everything or verdict.outcome != "met"]
        if verdicts:
            yield variant.name
            for verdict in verdicts:
                yield from _entry(verdict, width)
    met = sum(verdict.outcome == "met" for variant in variants for verdict in variant.verdicts)
    if met and not everything:
        one = "1 other check is met; --verbose lists it"
        yield one if met == 1 else f"{met} other checks are met; --verbose lists them"


def ordered(variant: Variant) -> list[Verdict]:
    """The verdicts of `variant`: first those not met, then those not settled, then those met."""
    return sorted(variant.verdicts, key=_rank)


def observed(verdict: Verdict) -> str:
    """The observed number of `verdict`; a dash if it is not settled, since it then claims nothing."""
    return of_verdict(verdict, digits=_DIGITS)[0]


def limit(verdict: Verdict) -> str:
    """The limit of `verdict`, with its unit."""
    return f"{verdict.comparison} {of_verdict(verdict, digits=_DIGITS)[1]} {verdict.unit}"


def _worst(variant: Variant) -> int:
    return min(map(_rank, variant.verdicts), default=len(WORST_FIRST))


def _rank(verdict: Verdict) -> int:
    return WORST_FIRST.index(verdict.outcome)


def _entry(verdict: Verdict, width: int) -> list[str]:
    return textwrap.wrap(
        f"{verdict.check}: {observed(verdict)}, limit {limit(verdict)}",
        width,
        initial_indent=f"{_INDENT}{verdict.outcome:<{_MARK}}",
        subsequent_indent=" " * (len(_INDENT) + _MARK),
        break_long_words=False,
        break_on_hyphens=False,
    )
