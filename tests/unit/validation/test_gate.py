"""Gates refuse settings that make no sense, and verdicts carry their numbers."""

from dataclasses import replace

import pytest

from validation.errors import GatesError
from validation.gate import LIMITS, WIDENED, Gates, Limits
from validation.notes import least_shown
from validation.verdicts import judge_error, judge_finite


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
        (lambda: Gates(latency="maybe"), "latency must be 'judge' or 'report' or 'skip', found 'maybe'"),
        (lambda: Gates(shapes=()), "shapes must be pairs"),
        (lambda: Gates(shapes=((0, 16),)), "shapes must be pairs"),
        (lambda: Gates(threads=0), "threads must be at least 1, found 0"),
        (lambda: Gates(margin=0.0), "margin must lie above 0, for no number of examples"),
        (lambda: Gates(looks=0), "looks must lie between 1 and 10, found 0"),
        (lambda: Gates(looks=11), "looks must lie between 1 and 10, found 11"),
        (lambda: Gates(margin=1.0), "margin must lie below 1, which any answer meets, found 1.0"),
        (lambda: Limits(noise=1.5), "noise must lie below 1, which any answer meets, found 1.5"),
        (lambda: Limits(flips=1.0), "flips must lie below 1, which any answer meets, found 1.0"),
        (lambda: Limits(agreement=0.0), "agreement must lie above 0, which any answer meets, found 0.0"),
        (lambda: Limits(cosine=0.0), "cosine must lie above 0, which any answer meets, found 0.0"),
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


def test_a_precision_that_nobody_named_is_held_to_that_of_fp32() -> None:
    assert Gates().of("bf8") == Gates().of("fp32")
    assert Gates().of("int8").agreement == 0.98


def test_gates_say_what_they_let_pass_beyond_the_usual() -> None:
    assert not any(Gates().widened(precision) for precision in LIMITS)
    stricter = {**LIMITS, "int8": replace(LIMITS["int8"], noise=0.1, agreement=0.99, faster_than=("fp32",))}
    gates = Gates(margin=0.001, confidence=0.99, speedup=2.0, sibling_speedup=1.1, limits=stricter)
    assert gates.widened("fp32") == ""
    assert gates.widened("int8") == f"{WIDENED}: not timed against fp16."
    wider = {**LIMITS, "int8": replace(LIMITS["int8"], noise=0.5, agreement=None, cosine=0.9)}
    gates = Gates(margin=0.5, confidence=0.9, speedup=0.5, sibling_speedup=0.0, limits=wider)
    assert gates.widened("int8") == (
        f"{WIDENED}: margin 0.5, where 0.01 is usual; confidence 0.9, where 0.95 is usual; sibling_speedup 0, where 1 "
        "is usual; noise 0.5, where 0.35 is usual; agreement not judged, where 0.98 is usual; cosine 0.9, where 0.95 "
        "is usual."
    )
    assert "noise" not in gates.widened("fp32")


def test_few_examples_cannot_show_much() -> None:
    assert least_shown(60, 0.95) == pytest.approx(0.05, abs=1e-3)  # 3 / N, the rule of three
    assert least_shown(300, 0.95) < 0.01 < least_shown(299, 0.95)
