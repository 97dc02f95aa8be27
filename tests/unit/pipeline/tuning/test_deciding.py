"""What makes a plan better, on made-up samples and verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from distilforge.manifest import Verdict

from pipeline.tuning import duel
from pipeline.tuning.accuracy import hopeless
from validation.latency import Timing
from validation.verdicts import REASON_AGREEMENT, REASON_MARGIN

random = np.random.default_rng(20)


def timings(factor: float) -> tuple[Timing, ...]:
    """Samples at two shapes, with 5% of noise, of one that takes `factor` of the other's time."""
    return tuple(
        Timing(
            batch=1,
            tokens=tokens,
            seconds={
                "best": tuple(tokens * random.normal(1, 0.05, 60)),
                "challenger": tuple(tokens * factor * random.normal(1, 0.05, 60)),
            },
        )
        for tokens in (8, 16)
    )


def test_only_what_is_shown_to_be_faster_is() -> None:
    assert duel.speed(timings(0.9), "challenger", "best", 0.95).faster
    assert not duel.speed(timings(1.1), "challenger", "best", 0.95).faster
    found = duel.speed(timings(0.5), "challenger", "best", 0.95)
    assert found.low < 2 < found.high
    assert found.ratio == pytest.approx(2, rel=0.05)


def test_a_tie_keeps_what_is_there() -> None:
    same = Timing(batch=1, tokens=8, seconds={"best": (1.0, 1.1, 0.9), "challenger": (1.0, 1.1, 0.9)})
    assert not duel.speed((same,), "challenger", "best", 0.95).faster
    constant = Timing(batch=1, tokens=8, seconds={"best": (1.0,) * 5, "challenger": (1.0,) * 5})
    assert not duel.speed((constant,), "challenger", "best", 0.95).faster


def test_samples_survive_the_evidence() -> None:
    taken = timings(0.9)
    assert duel.timings_of(duel.measurements(taken)) == taken


LOSS = Verdict(
    check="loss",
    observed=0.03,
    comparison="at most",
    limit=0.01,
    unit="",
    reason=REASON_MARGIN,
    interval=(0.005, 0.03),
)
AGREEMENT = Verdict(
    check="labels", observed=0.97, comparison="at least", limit=0.98, unit="", reason=REASON_AGREEMENT
)
NOISE = Verdict(check="noise", observed=0.5, comparison="at most", limit=0.35, unit="", reason="")


def test_few_texts_only_turn_down_what_surely_fails() -> None:
    assert not hopeless(LOSS, 200, 0.95)
    assert hopeless(replace(LOSS, interval=(0.011, 0.03)), 200, 0.95)
    assert not hopeless(AGREEMENT, 200, 0.95)
    assert hopeless(replace(AGREEMENT, observed=0.8), 200, 0.95)
    assert hopeless(NOISE, 200, 0.95)
