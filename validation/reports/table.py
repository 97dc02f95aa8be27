"""The verdicts of a report as a table of text."""

from collections.abc import Mapping
from dataclasses import dataclass

from distilforge.manifest import Outcome, Verdict

from validation.reports.numbers import NOTHING, of_verdict
from validation.reports.report import Report, headroom

_MARKS: Mapping[Outcome, str] = {"met": "✓ pass", "not met": "✗ FAIL", "not settled": "? not settled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """One verdict as text."""

    variant: str
    """The variant's name."""
    check: str
    """What was checked."""
    observed: str
    """The observed number; a dash where the check is not settled."""
    limit: str
    """The limit, with the side on which the observed number must be."""
    unit: str
    """The unit of both."""
    interval: str
    """Both ends of the interval; empty where there is none, or where the check is not settled."""
    headroom: str
    """How far the observed number is on the good side of the limit; a dash where the check is not settled."""
    outcome: Outcome
    """The outcome, as it is in JSON."""
    reason: str
    """Why the limit is what it is."""

    @property
    def mark(self) -> str:
        """The outcome as readers see it."""
        return _MARKS[self.outcome]


def verdict_rows(report: Report) -> tuple[VerdictRow, ...]:
    """One row for each verdict, in the order judged."""
    return tuple(_row(variant.name, verdict) for variant in report.variants for verdict in variant.verdicts)


def _row(variant: str, verdict: Verdict) -> VerdictRow:
    # A check that is not settled claims nothing, so its numbers are in the JSON only.
    interval = verdict.interval if verdict.settled else None
    observed, limit = of_verdict(verdict, digits=3, write=short)
    return VerdictRow(
        variant=variant,
        check=verdict.check,
        observed=observed,
        limit=f"{verdict.comparison} {limit}",
        unit=verdict.unit,
        interval="" if interval is None else f"{short(interval[0])} to {short(interval[1])}",
        headroom=short(headroom(verdict)) if verdict.settled else NOTHING,
        outcome=verdict.outcome,
        reason=verdict.reason,
    )


def short(value: float, digits: int = 3) -> str:
    """`value` in `digits` significant digits; of three, whole numbers and numbers from 1000 have no fraction."""
    if value == int(value) or (1000 <= abs(value) < 1e6 and digits == 3):
        return f"{value:.0f}"
    return f"{value:.{digits - 1}e}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.{digits}g}"
