"""How far a run is."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from distilforge.status_line import clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    rows: int
    """The rows that are answered, by earlier runs too."""
    errors: int
    """How many of them are error rows."""
    rows_per_second: float
    """How fast this run is."""
    fraction: float
    """How much of the input is answered, from 0 to 1."""
    seconds_left: float | None
    """Seconds to the end at this speed; None if nothing was answered yet."""

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", {clock(self.seconds_left)} left"
        errors = f", {self.errors:,} of them errors" if self.errors else ""
        return f"{self.fraction:4.0%}  {self.rows:,} rows{errors}, {self.rows_per_second:,.0f} a second{left}"


Report = Callable[[Progress], None]


class Meter:
    """Counts the rows of a run."""

    def __init__(self, rows: int, errors: int, report: Report) -> None:
        """`rows` and `errors` are those of earlier runs."""
        self._rows = rows
        self._errors = errors
        self._report = report
        self._before = rows
        self._started = time.monotonic()
        self._fraction_before: float | None = None

    @property
    def rows(self) -> int:
        """The rows that are answered, by earlier runs too."""
        return self._rows

    def add(self, rows: int, errors: int, fraction: float) -> None:
        """Count the rows of a batch; with it, `fraction` of the input is answered."""
        if self._fraction_before is None:
            # The share of the rows in this batch is at most as large as that of the input
            self._fraction_before = fraction if self._before else 0.0
        self._rows += rows
        self._errors += errors
        seconds = time.monotonic() - self._started
        done = fraction - self._fraction_before
        self._report(
            Progress(
                rows=self._rows,
                errors=self._errors,
                rows_per_second=(self._rows - self._before) / max(seconds, 1e-9),
                fraction=fraction,
                seconds_left=seconds * (1 - fraction) / done if done > 0 else None,
            )
        )
