"""Gates refuse settings that make no sense, and verdicts carry their numbers."""

import pytest

from validation.errors import GatesError
from validation.gate import Gates
from validation.latency import Timing
from validation.notes import undetectable
from validation.verdicts import judge_error, judge_finite, judge_speedup


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Gates(error=-1e-4), "error must be a finite number of at least 0, found -0.0001"),
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
    assert judge_error("texts", 1e-4, Gates())
    assert not judge_error("texts", 1.01e-4, Gates())
    assert judge_finite(0)
    assert not judge_finite(1)


def test_a_slower_variant_is_refused_and_a_faster_one_passes() -> None:
    def timing(eager: float, variant: float) -> Timing:
        wobble = [1 + 0.01 * (index % 3) for index in range(20)]
        return Timing(
            batch=1,
            tokens=16,
            eager=tuple(eager * factor for factor in wobble),
            variant=tuple(variant * factor for factor in wobble),
        )

    assert judge_speedup((timing(2.0, 1.0),), Gates())
    assert not judge_speedup((timing(1.0, 1.1),), Gates())
    # One slow shape does not decide, and the limit is the caller's.
    assert judge_speedup((timing(1.0, 1.1), timing(4.0, 1.0)), Gates())
    assert not judge_speedup((timing(2.0, 1.0),), Gates(speedup=3.0))
    verdict = judge_speedup((timing(2.0, 1.0),), Gates())
    assert verdict.interval is not None
    assert verdict.observed == verdict.interval[0]


def test_few_examples_cannot_show_much() -> None:
    assert undetectable(59, 0.95) == pytest.approx(0.0495, abs=1e-3)  # 59 successes in a row show 95% at 95%
    assert undetectable(1500, 0.95) < 0.01 < undetectable(200, 0.95)
