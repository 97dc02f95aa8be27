"""Gates refuse settings that make no sense, and say where they are wider than usual."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from validation.errors import GatesError
from validation.gates import LIMITS, Gates, Limits


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Limits(error=-1e-4), "error must be a finite number of at least 0, found -0.0001"),
        (lambda: Limits(noise=float("inf")), "noise must be a finite number of at least 0, found inf"),
        (lambda: Limits(agreement=98), "agreement must lie between 0 and 1, found 98"),
        (lambda: Limits(flips=-0.1), "flips must lie between 0 and 1, found -0.1"),
        (lambda: Limits(error=float("nan")), "error must be a finite number of at least 0, found nan"),
        (lambda: Limits(shift=-1.0), "shift must be a finite number of at least 0, found -1.0"),
        (lambda: Limits(cosine=float("nan")), "cosine must lie between 0 and 1, found nan"),
        (lambda: Gates(seconds_per_shape=-1.0), "seconds_per_shape must be a finite number of at least 0"),
        (lambda: Gates(speedup=float("inf")), "speedup must be a finite number of at least 0, found inf"),
        (lambda: Gates(confidence=0.5), "confidence must lie between 0.5 and 1, found 0.5"),
        (lambda: Gates(confidence=1.0), "confidence must lie between 0.5 and 1, found 1.0"),
        (lambda: Gates(shapes=((1, 16), (8, 0))), "shapes must be pairs"),
        (lambda: Gates(sibling_speedup=-1), "sibling_speedup must be a finite number"),
        (lambda: Gates(margin=float("nan")), "margin must be a finite number"),
        (lambda: Gates(confidence=95), "confidence must lie between 0.5 and 1, found 95"),
        (lambda: Gates(mode="maybe"), "mode must be 'enforce' or 'report', found 'maybe'"),
        (lambda: Gates(latency="maybe"), "latency must be 'judge' or 'report' or 'skip', found 'maybe'"),
        (lambda: Gates(shapes=()), "shapes must be pairs"),
        (lambda: Gates(shapes=((0, 16),)), "shapes must be pairs"),
        (lambda: Gates(threads=0), "threads must lie between 1 and 1024, found 0"),
        (lambda: Gates(threads=1025), "threads must lie between 1 and 1024, found 1025"),
        (lambda: Gates(seconds_per_shape=1e300), "seconds_per_shape must be at most 3600, found 1e+300"),
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
def test_settings_that_make_no_sense_are_refused(build: Callable[[], Gates | Limits], message: str) -> None:
    with pytest.raises(GatesError, match="must") as caught:
        build()
    assert message in str(caught.value)


def test_another_scheme_whose_answers_may_depend_on_the_batch_is_wider_than_usual() -> None:
    assert Gates(batch_dependent=("int8_static",)).widened("int8") == (
        "answers of int8_static may depend on the batch",
    )
    assert Gates(batch_dependent=()).widened("int8") == ()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Limits(),
        lambda: Limits(error=0.0, noise=0.0, agreement=1.0, cosine=1.0, shift=0.0, flips=0.0),
        lambda: Gates(margin=0.999, confidence=0.501, looks=10, threads=1, seconds_per_shape=0.0),
        lambda: Gates(margin=1e-9, confidence=0.999, looks=1, speedup=0.0, sibling_speedup=0.0),
    ],
)
def test_the_ends_of_what_is_allowed_are_allowed(build: Callable[[], Gates | Limits]) -> None:
    build()


def test_a_limit_that_any_answer_meets_is_refused_with_a_hint() -> None:
    with pytest.raises(GatesError) as caught:
        Limits(noise=1.0)
    assert caught.value.hint == 'write noise = "off" to report it without judging it'


def test_a_precision_without_limits_of_its_own_has_those_of_fp32() -> None:
    assert Gates().of("bf8") == Gates().of("fp32")
    assert Gates().of("int8").agreement == 0.98


def test_gates_say_which_limits_are_wider_than_usual() -> None:
    assert not any(Gates().widened(precision) for precision in LIMITS)
    stricter = {**LIMITS, "int8": replace(LIMITS["int8"], noise=0.1, agreement=0.99, faster_than=("fp32",))}
    gates = Gates(margin=0.001, confidence=0.99, speedup=2.0, sibling_speedup=1.1, limits=stricter)
    assert gates.widened("fp32") == ()
    assert gates.widened("int8") == ("not timed against fp16",)
    wider = {**LIMITS, "int8": replace(LIMITS["int8"], noise=0.5, agreement=None, cosine=0.9)}
    gates = Gates(margin=0.5, confidence=0.9, speedup=0.5, sibling_speedup=0.0, limits=wider)
    assert gates.widened("int8") == (
        "margin 0.5, where 0.01 is usual",
        "confidence 0.9, where 0.95 is usual",
        "sibling_speedup 0, where 1 is usual",
        "noise 0.5, where 0.35 is usual",
        "agreement not judged, where 0.98 is usual",
        "cosine 0.9, where 0.95 is usual",
    )
    assert not any(phrase.startswith("noise") for phrase in gates.widened("fp32"))


@pytest.mark.parametrize(
    ("name", "wider", "stricter"),
    [
        ("error", 2e-4, 1e-5),
        ("agreement", 0.9, 0.9999),
        ("shift", 1e-3, 1e-6),
        ("flips", 0.1, 0.0),
    ],
)
def test_each_limit_is_wider_on_its_own_side(name: str, wider: float, stricter: float) -> None:
    usual = LIMITS["fp32"]
    (phrase,) = replace(usual, **{name: wider}).widened(usual)
    assert phrase == f"{name} {wider:g}, where {getattr(usual, name):g} is usual"
    assert list(replace(usual, **{name: stricter}).widened(usual)) == []
    (phrase,) = replace(usual, **{name: None}).widened(usual)
    assert phrase == f"{name} not judged, where {getattr(usual, name):g} is usual"


def test_a_limit_where_none_is_usual_is_not_wider() -> None:
    assert list(replace(LIMITS["fp32"], noise=0.9, cosine=0.1).widened(LIMITS["fp32"])) == []
