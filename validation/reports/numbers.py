"""Numbers as text, with as many digits as tell a number from its limit."""

import math
from collections.abc import Callable

from distilforge.manifest import Verdict

ROUNDING = 1e-9
"""What a float cannot hold of a limit that people write."""
NOTHING = "-"
"""What stands in place of a number that is not claimed."""
MOST_DIGITS = 17
"""So many significant digits tell any two floats apart."""


def significant(value: float, digits: int) -> str:
    """`value` with at most `digits` significant digits."""
    return f"{value:.{digits}g}"


def apart(
    observed: float, limit: float, *, digits: int, write: Callable[[float, int], str] = significant
) -> tuple[str, str]:
    """Two numbers as `write` has them with `digits` digits, or with as many more as they need to be told apart.

    An observed number that is just beyond its limit would otherwise look as if it were on it. The limit is not rounded.
    """
    for count in range(digits, MOST_DIGITS + 1):
        texts = write(observed, count), write(limit, count)
        differ = observed == limit or float(texts[0]) != float(texts[1])
        if differ and math.isclose(float(texts[1]), limit, rel_tol=ROUNDING):
            break
    return texts


def of_verdict(
    verdict: Verdict, *, digits: int, write: Callable[[float, int], str] = significant
) -> tuple[str, str]:
    """The observed number of `verdict` and its limit, as `apart` has them.

    A check that is not settled claims nothing, so its observed number is a dash.
    """
    if not verdict.settled:
        return NOTHING, write(verdict.limit, digits)
    return apart(verdict.observed, verdict.limit, digits=digits, write=write)


def percent(share: float) -> str:
    """`share` in percent without rounding, such as a confidence: 95%, 99.9%."""
    # Ten digits leave out what a float cannot hold
    return f"{100 * share:.10g}%"
