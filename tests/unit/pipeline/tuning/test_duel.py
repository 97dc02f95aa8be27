"""Which plan is shown to be faster, on made-up samples."""

from dataclasses import replace

import numpy as np
import pytest
from distilforge.manifest import Measurement, Steadiness
from distilforge.timing.ratios import Estimate
from distilforge.timing.rounds import Timing

from pipeline.tuning import duel

STEADY = Steadiness(steady=True, reasons=(), rounds=60)
BUSY = Steadiness(steady=False, reasons=("other processes took 1 cores",), rounds=60)


def timing(*, steadiness: Steadiness = STEADY, seed: int = 20, **factors: float) -> Timing:
    """60 rounds at two shapes with a noise of 5%; each plan's time is its factor times that of a plan with factor 1."""
    random = np.random.default_rng(seed)
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
    # With 60 rounds, the interval of a median reaches about 0.05 * 1.25 / sqrt(2 * 60) * 1.65 = 1% to each side
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


def test_a_noisy_tie_is_seldom_called_a_win() -> None:
    """The lower end of the interval has a confidence of 95%, so at most 5% of ties may look like a win."""
    ties = 400
    wins = sum(outcome(timing(best=1, challenger=1, seed=seed), "best") == "better" for seed in range(ties))
    # Three standard deviations of a binomial count: 20 + 3 * sqrt(400 * 0.05 * 0.95) = 33
    assert wins <= 33


def test_a_gain_of_two_percent_is_usually_found() -> None:
    """The interval reaches 1% below the ratio, so its end lies one standard deviation (0.6%) or more above 1."""
    gains = 100
    wins = sum(
        outcome(timing(best=1, challenger=0.98, seed=seed), "best") == "better" for seed in range(gains)
    )
    # One standard deviation is 84 of 100, and three of the count's own, sqrt(100 * 0.84 * 0.16) = 3.7, leave 73
    assert wins >= 73


def test_noise_that_slows_both_plans_alike_does_not_hide_a_gain() -> None:
    random = np.random.default_rng(20)
    rounds = random.lognormal(0, 0.5, 60)
    both = tuple(
        Measurement(subject=name, batch=1, tokens=8, seconds=tuple(factor * rounds), runs=(1,) * 60)
        for name, factor in (("best", 1.0), ("challenger", 0.99))
    )
    assert outcome(Timing(measurements=both, steadiness=STEADY), "best") == "better"


def test_a_gain_at_one_shape_has_to_outweigh_a_loss_at_another() -> None:
    def at_two_shapes(short: float, long: float) -> Timing:
        return Timing(
            measurements=tuple(
                Measurement(subject=name, batch=1, tokens=tokens, seconds=(seconds,) * 20, runs=(1,) * 20)
                for name, both in (("best", (1.0, 1.0)), ("challenger", (short, long)))
                for tokens, seconds in zip((8, 16), both, strict=True)
            ),
            steadiness=STEADY,
        )

    # The geometric mean of the ratios: 1 / (0.5 * 1.9) is above 1, 1 / (0.5 * 2.1) is below
    assert outcome(at_two_shapes(0.5, 1.9), "best") == "better"
    assert outcome(at_two_shapes(0.5, 2.1), "best") == "not faster"


def test_a_plan_that_was_not_timed_is_not_shown_to_be_faster() -> None:
    assert outcome(timing(best=1, other=0.5), "best") == "not faster"


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
    assert duel.ratio_text(Estimate(value=1.25, interval=(1.0, 1.5))) == "1.250 (1.000 to 1.500)"
    assert duel.ratio_text(Estimate(value=1.25, interval=None)) == "1.250"
