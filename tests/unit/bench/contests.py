"""Made-up contests: seconds around given values, and what a contest makes of them."""

from collections.abc import Mapping

import numpy as np
from distilforge.timing.rounds import Timing
from distilforge.timing.shape import Shape

from bench.contest.contest import Contest, compare
from bench.contest.rows import Omission, Row
from tests.timing_subjects import measurement, steady


def timing(seconds: Mapping[tuple[str, Shape], float], *, spread: float = 0.0, rounds: int = 20) -> Timing:
    """Rounds around `seconds`, with lognormal noise of the given spread."""
    random = np.random.default_rng(5)
    return Timing(
        measurements=tuple(
            measurement(
                name,
                shape,
                tuple((float(middle * np.exp(spread * random.normal())),) for _ in range(rounds)),
            )
            for (name, shape), middle in seconds.items()
        ),
        steadiness=steady(rounds),
    )


def row(name: str, *, family: str | None = None) -> Row:
    """A row whose subject does not exist."""
    return Row(name=name, subject=name, source="", settings="as users do", family=family or name)


def contest(
    timing: Timing,
    names: tuple[str, ...],
    *,
    candidates: tuple[str, ...],
    omissions: tuple[Omission, ...] = (),
    differences: Mapping[str, float] | None = None,
    ceiling: float = 1e12,
) -> Contest:
    """The contest of the rows `names`, of which the first of `candidates` is judged."""
    rows = [row(name) for name in names]
    judged, ratios = compare(timing, rows, candidates)
    return Contest(
        conditions={"device": "NVIDIA H200"},
        settings={row.name: row.settings for row in rows},
        timing=timing,
        differences=differences or {},
        omissions=omissions,
        judged=judged,
        ratios=ratios,
        ceiling=ceiling,
    )
