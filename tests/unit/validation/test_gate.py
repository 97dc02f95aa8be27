"""Gates refuse settings that make no sense, and verdicts carry their numbers."""

import pytest

from validation.errors import GatesError
from validation.gate import Gates, Limits
from validation.latency import Timing
from validation.notes import undetectable
from validation.verdicts import judge_error, judge_finite, judge_sibling, judge_speedup


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Limits(error=-1e-4), "error must be a finite number of at least 0, found -0.0001"),
        (lambda: Limits(noise=float("inf")), "noise must be a finite number of at least 0, found inf"),
        (lambda: Limits(agreement=98), "agreement must lie between 0 and 1, found 98"),
        (lambda: Limits(flips=-0.1), "flips must lie between 0 and 1, found -0.1"),
        (lambda: Gates(sibling_speedup=-1), "sibling_speedup must be a finite number"),
        (lambda: Gates(margin=float("nan")), "margin must be a finite number"),
        (lambda: Gates(confidence=95), "confidence must lie between 0.5 and 1, found 95"),
        (lambda: Gates(mode="maybe"), "mode must be 'enforce' or 'report', found 'maybe'"),
        (lambda: Gates(shapes=()), "shapes must be pairs"),
        (lambda: Gates(shapes=((0, 16),)), "shapes must be pairs"),
        (lambda: Gates(threads=0), "threads must be at least 1, found 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(build: "type[Gates]", said: str) -> None:
    with pytest.raises(GatesError, match="must") as caught:
        build()
    assert said in str(caught.value)


def test_error_and_finiteness_are_judged_against_their_limits() -> None:
    limit = Gates().of("fp32").error
    assert limit is not None
    assert judge_error("texts", 1e-4, limit)
    assert not judge_error("texts", 1.01e-4, limit)
    assert judge_finite(0)
    assert not judge_finite(1)


def timing(**medians: float) -> Timing:
    """Twenty samples a subject, around the given seconds."""
    wobble = [1 + 0.01 * (index % 3) for index in range(20)]
    return Timing(
        batch=1,
        tokens=16,
        seconds={subject: tuple(each * factor for factor in wobble) for subject, each in medians.items()},
    )


def test_a_slower_variant_is_refused_and_a_faster_one_passes() -> None:
    assert judge_speedup((timing(eager=2.0, mine=1.0),), "mine", Gates())
    assert not judge_speedup((timing(eager=1.0, mine=1.1),), "mine", Gates())
    # One slow shape does not decide, and the limit is the caller's.
    assert judge_speedup((timing(eager=1.0, mine=1.1), timing(eager=4.0, mine=1.0)), "mine", Gates())
    assert not judge_speedup((timing(eager=2.0, mine=1.0),), "mine", Gates(speedup=3.0))
    verdict = judge_speedup((timing(eager=2.0, mine=1.0),), "mine", Gates())
    assert verdict.interval is not None
    assert verdict.observed == verdict.interval[0]


def test_a_sibling_is_what_is_timed_against_and_not_eager() -> None:
    times = (timing(eager=9.0, base=1.0, mine=1.2),)
    assert judge_speedup(times, "mine", Gates())
    verdict = judge_sibling(times, "mine", "base", Gates())
    assert not verdict
    assert verdict.observed == pytest.approx(1 / 1.2, rel=0.03)
    assert judge_sibling(times, "mine", "base", Gates(sibling_speedup=0))


def test_a_precision_that_nobody_named_is_held_to_that_of_fp32() -> None:
    assert Gates().of("bf8") == Gates().of("fp32")
    assert Gates().of("int8").agreement == 0.98


def test_few_examples_cannot_show_much() -> None:
    assert undetectable(59, 0.95) == pytest.approx(0.0495, abs=1e-3)  # 59 successes in a row show 95% at 95%
    assert undetectable(1500, 0.95) < 0.01 < undetectable(200, 0.95)
