"""A release claims the speeds of its measurements, and none of them if the timing was not steady."""

from dataclasses import replace
from pathlib import Path

import pytest
from distilforge.manifest import Manifest
from distilforge.timing import claims
from distilforge.timing.shape import Shape

from tests.runtime_release import read_manifest
from tests.timing_subjects import measurement, steady

SHAPE = Shape(batch=1, tokens=16)
FP32 = "onnxruntime-cpu:fp32"


@pytest.fixture
def manifest(release: Path) -> Manifest:
    """fp32 takes a second and eager two, except in round 1, in which the cores were apart."""
    manifest = read_manifest(release)
    measurements = (
        measurement(FP32, SHAPE, ((1.0,), (9.0,), *((1.0,),) * 5)),
        measurement("eager", SHAPE, ((2.0,),) * 7),
    )
    variant = replace(manifest.variants[0], measurements=measurements)
    return replace(manifest, variants=(variant,), timing=steady(7, apart=(1,)))


def test_a_steady_timing_is_claimed_without_the_rounds_apart(manifest: Manifest) -> None:
    assert claims.are_settled(manifest)
    assert claims.unsettled_reason(manifest) == ""
    assert claims.shapes(manifest, FP32) == (SHAPE,)
    speedup, seconds = claims.speedup(manifest, FP32, "eager"), claims.seconds(manifest, FP32, SHAPE)
    assert speedup is not None
    assert speedup.interval == pytest.approx((2.0, 2.0))
    assert seconds is not None
    assert seconds.interval == (1.0, 1.0)


def test_an_unsteady_timing_claims_nothing(manifest: Manifest) -> None:
    unsteady = replace(steady(7), steady=False, reasons=("it was busy", "it was hot"))
    busy = replace(manifest, timing=unsteady)
    assert not claims.are_settled(busy)
    assert claims.unsettled_reason(busy) == "it was busy; it was hot"
    assert claims.speedup(busy, FP32, "eager") is None
    assert claims.seconds(busy, FP32, SHAPE) is None


def test_older_releases_do_not_say_and_count_as_steady(manifest: Manifest) -> None:
    older = replace(manifest, timing=None)
    assert claims.are_settled(older)
    speedup = claims.speedup(older, FP32, "eager")
    assert speedup is not None
    # Without the rounds apart known, the disturbed round widens the interval
    assert speedup.interval == pytest.approx((2 / 9, 2.0))


def test_what_was_not_timed_is_not_claimed(manifest: Manifest) -> None:
    assert claims.speedup(manifest, "onnxruntime-cpu:int8", "eager") is None
    assert claims.seconds(manifest, FP32, Shape(batch=8, tokens=128)) is None


@pytest.mark.parametrize("seconds", [(), (0.0,), (-1.0,), (float("inf"),)])
def test_measurements_without_times_claim_nothing(manifest: Manifest, seconds: tuple[float, ...]) -> None:
    (variant,) = manifest.variants
    empty = tuple(replace(entry, seconds=seconds, runs=()) for entry in variant.measurements)
    damaged = replace(manifest, variants=(replace(variant, measurements=empty),))
    assert claims.shapes(damaged, FP32) == ()
    assert claims.speedup(damaged, FP32, "eager") is None
    assert claims.seconds(damaged, FP32, SHAPE) is None
