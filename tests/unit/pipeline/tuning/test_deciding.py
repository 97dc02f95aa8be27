"""What makes a plan better, on made-up samples and verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from distilforge.manifest import Measurement, Steadiness, Verdict
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing

from pipeline.tuning import duel
from pipeline.tuning.accuracy import hopeless
from validation import verdicts

STEADY = Steadiness(steady=True, reasons=(), rounds=60)
BUSY = Steadiness(steady=False, reasons=("other processes took 1 cores",), rounds=60)
random = np.random.default_rng(20)


def timing(*, steadiness: Steadiness = STEADY, **factors: float) -> Timing:
    """60 rounds at two shapes, with 5% of noise, of plans that take so many times as long as another would."""
    return Timing(
        measurements=tuple(
            Measurement(
                subject=name,
                batch=1,
                tokens=tokens,
                seconds=tuple(tokens * factor * random.normal(1, 0.05, 120)),
                runs=(2,) * 60,
            )
            for tokens in (8, 16)
            for name, factor in factors.items()
        ),
        steadiness=steadiness,
    )


def outcome(taken: Timing, *rivals: str) -> str:
    return duel.outcome(taken, "challenger", rivals, confidence=0.95)


def test_only_what_is_shown_to_be_faster_is_better() -> None:
    # Of 60 rounds, the interval of a median is about 0.05 * 1.25 / sqrt(2 * 60) * 1.65 = 1% to each side
    assert outcome(timing(best=1, challenger=0.9), "best") == "better"
    assert outcome(timing(best=1, challenger=1.1), "best") == "not faster"


def test_a_plan_has_to_beat_every_rival() -> None:
    taken = timing(default=0.8, best=1, challenger=0.9)
    assert outcome(taken, "best") == "better"
    assert outcome(taken, "best", "default") == "not faster"


def test_a_tie_keeps_what_is_there() -> None:
    same = tuple(
        Measurement(subject=name, batch=1, tokens=8, seconds=(1.0, 1.1, 0.9, 1.0, 1.2))
        for name in ("best", "challenger")
    )
    assert outcome(Timing(measurements=same, steadiness=STEADY), "best") == "not faster"


def test_too_few_rounds_show_nothing() -> None:
    few = tuple(
        Measurement(subject=name, batch=1, tokens=8, seconds=(seconds,) * 4)
        for name, seconds in (("best", 1.0), ("challenger", 0.1))
    )
    assert outcome(Timing(measurements=few, steadiness=STEADY), "best") == "not faster"


@pytest.mark.parametrize("factor", [0.1, 1.1])
def test_an_unsteady_timing_settles_nothing(factor: float) -> None:
    assert outcome(timing(best=1, challenger=factor, steadiness=BUSY), "best") == "not settled"


def test_rounds_with_the_cores_apart_do_not_count() -> None:
    best = Measurement(subject="best", batch=1, tokens=8, seconds=(1.0,) * 5 + (9.0,) * 20)
    slower = replace(best, subject="challenger", seconds=(1.1,) * 5 + (1.0,) * 20)
    apart = replace(STEADY, apart=tuple(range(5, 25)))
    assert outcome(Timing(measurements=(best, slower), steadiness=STEADY), "best") == "better"
    assert outcome(Timing(measurements=(best, slower), steadiness=apart), "best") == "not faster"


def test_ratios_in_words() -> None:
    assert duel.words(Estimate(value=1.25, interval=(1.0, 1.5))) == "1.250 (1.000 to 1.500)"
    assert duel.words(Estimate(value=1.25, interval=None)) == "1.250"


LOSS = Verdict(
    check="loss",
    observed=0.03,
    comparison="at most",
    limit=0.01,
    unit="",
    reason="",
    interval=(0.005, 0.03),
    kind=verdicts.LOSS,
)
AGREEMENT = Verdict(
    check="labels",
    observed=0.97,
    comparison="at least",
    limit=0.98,
    unit="",
    reason="",
    kind=verdicts.AGREEMENT,
)
NOISE = Verdict(check="noise", observed=0.5, comparison="at most", limit=0.35, unit="", reason="")


def test_few_texts_only_turn_down_what_surely_fails() -> None:
    assert not hopeless(LOSS, 200, 0.95)
    assert hopeless(replace(LOSS, interval=(0.011, 0.03)), 200, 0.95)
    assert not hopeless(AGREEMENT, 200, 0.95)
    assert hopeless(replace(AGREEMENT, observed=0.8), 200, 0.95)
    assert hopeless(NOISE, 200, 0.95)
