"""Among variants that can run here: validated first, then the fastest here or where it was built, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from distilforge.backends import backends
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu
from distilforge.manifest import Manifest, Measurement, Variant
from distilforge.opening.ranking import speedups
from distilforge.opening.selection import Selection, select_variant
from distilforge.records import benchmark_records as records

from tests.benchmark_results import BUSY, FP32, INT8, STEADY, record
from tests.runtime_release import published, read_manifest

SHAPES = ((1, 16), (8, 128))
INT8_7BIT = "onnxruntime-cpu:int8_7bit"
PREFERRED_TARGET = "tests-preferred"
PREFERRED = f"{PREFERRED_TARGET}:fp16"

pytestmark = pytest.mark.usefixtures("empty_cache")


@dataclass(frozen=True, slots=True)
class PreferredBackend(OnnxRuntimeCpu):
    """The CPU's backend under another name, with a higher preference."""

    preference: int = 200


@pytest.fixture(autouse=True)
def _preferred_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backends._entries, PREFERRED_TARGET, PreferredBackend())


@pytest.fixture
def manifest() -> Manifest:
    return read_manifest(published("sequence_classification").release)


def variant(
    name: str,
    *times: float,
    shapes: tuple[tuple[int, int], ...] = SHAPES,
    validated: bool = True,
) -> Variant:
    """A variant that was so many times as fast as eager at each shape; without `times` it was not measured.

    Each measurement has an outlier, which must not move the median.
    """
    target, _, precision = name.partition(":")
    return Variant(
        target=target,
        precision=precision,
        files=("onnx/model.onnx",),
        validated=validated,
        measurements=tuple(
            Measurement(subject=subject, batch=batch, tokens=tokens, seconds=(seconds, seconds, 60.0))
            for (batch, tokens), ratio in zip(shapes, times, strict=False)
            for subject, seconds in (("eager", 0.2), (name, 0.2 / ratio))
        ),
    )


def select(manifest: Manifest, threads: int | None = None) -> Selection:
    return select_variant(manifest, None, allow_unvalidated=False, threads=threads)


def remember(manifest: Manifest, speeds: Mapping[str, float]) -> None:
    records.write_record(record(manifest, speeds))


def test_the_fastest_where_it_was_built(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32, 1.0, 4.0), variant(INT8, 4.0, 4.2)))
    selection = select(made)
    assert selection.variant.name == INT8
    assert selection.reason == (
        f"chose {INT8}, 4.1 times as fast as eager where it was built, over {FP32} (2.0)"
    )


def test_a_slower_quantized_variant_is_not_selected(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(INT8, 1.4, 1.4), variant(FP32, 1.5, 1.5)))
    assert select(made).variant.name == FP32


def test_a_validated_variant_goes_before_a_faster_one(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(INT8, 9, 9, validated=False), variant(FP32, 2, 2)))
    selection = select(made)
    assert selection.variant.name == FP32
    assert selection.reason.endswith(f"over {INT8} (9.0), not validated")


@pytest.mark.parametrize("names", [(FP32, INT8), (INT8, FP32)])
def test_without_measurements_the_first_in_the_manifest(manifest: Manifest, names: tuple[str, str]) -> None:
    selection = select(replace(manifest, variants=tuple(map(variant, names))))
    assert selection.variant.name == names[0]
    assert selection.reason == f"chose {names[0]} over {names[1]}"


def test_a_measured_variant_goes_before_one_that_was_not_measured(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(INT8), variant(FP32, 1, 1)))
    assert select(made).variant.name == FP32


def test_speedups_compare_only_shapes_that_all_have() -> None:
    more = variant(FP32, 2, 2, 100, shapes=(*SHAPES, (4, 4)))
    assert speedups([more, variant(INT8, 3, 3)]) == pytest.approx({FP32: 2.0, INT8: 3.0})
    assert speedups([variant(FP32, 2, shapes=((1, 1),)), variant(INT8, 3, shapes=((2, 2),))]) == {}


def test_speedups_leave_out_rounds_apart() -> None:
    # What is left is the outlier, which is the same on both sides
    assert speedups([variant(FP32, 2, 2)], apart=(0, 1)) == pytest.approx({FP32: 1.0})


@pytest.mark.parametrize(
    "seconds_by_subject",
    [{}, {FP32: (0.1,)}, {"eager": (0.1,), FP32: ()}, {"eager": (0.1,), FP32: (0.0,)}],
    ids=["nothing", "no eager", "no runs", "no time"],
)
def test_measurements_that_say_nothing_are_left_out(
    seconds_by_subject: Mapping[str, tuple[float, ...]],
) -> None:
    measurements = tuple(
        Measurement(subject=subject, batch=1, tokens=1, seconds=seconds)
        for subject, seconds in seconds_by_subject.items()
    )
    assert speedups([replace(variant(FP32), measurements=measurements)]) == {}


def test_the_fastest_here_goes_before_the_fastest_where_it_was_built(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32, 1, 1), variant(INT8, 4, 4)))
    remember(made, {INT8: 1.0, FP32: 2.1})
    assert select(made).reason == (
        f"chose {FP32}, 2.1 times as fast as {INT8} measured on this machine on 2026-11-25"
    )
    assert select(made, threads=2).reason.startswith(f"chose {INT8}, 4.0 times as fast as eager where")


def test_if_all_were_measured_here_the_fastest_goes_before_the_preferred(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32), variant(PREFERRED), variant(INT8)))
    assert select(made).reason == f"chose {PREFERRED} over {FP32}, {INT8}"
    remember(made, {FP32: 1.0, INT8: 3.0})
    assert select(made).reason == f"chose {PREFERRED} over {FP32}, {INT8}"
    remember(made, {FP32: 1.0, INT8: 3.0, PREFERRED: 2.0})
    assert select(made).reason == (
        f"chose {INT8}, 1.5 times as fast as {PREFERRED} measured on this machine on 2026-11-25, over {FP32}"
    )


def test_if_only_the_preferred_were_measured_here_the_fastest_of_them(manifest: Manifest) -> None:
    faster = f"{PREFERRED_TARGET}:int8"
    made = replace(manifest, variants=(variant(FP32), variant(PREFERRED), variant(faster)))
    remember(made, {PREFERRED: 1.0, faster: 1.25})
    assert select(made).reason == (
        f"chose {faster}, 1.2 times as fast as {PREFERRED} measured on this machine on 2026-11-25, over {FP32}"
    )


def test_a_validated_variant_goes_before_the_fastest_here(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32), variant(INT8, validated=False), variant(INT8_7BIT)))
    remember(made, {FP32: 1.0, INT8: 9.0, INT8_7BIT: 3.0})
    assert select(made).reason == (
        f"chose {INT8_7BIT}, 3.0 times as fast as {FP32} measured on this machine on 2026-11-25, "
        f"over {INT8}, not validated"
    )


def test_a_record_of_some_candidates_does_not_count(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32, 1, 1), variant(INT8, 4, 4), variant(INT8_7BIT)))
    remember(made, {FP32: 2.0, INT8: 1.0})
    assert select(made).reason.startswith(f"chose {INT8}, 4.0 times as fast as eager where it was built")


def test_times_that_are_not_settled_order_the_variants_and_claim_nothing(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32, 1, 1), variant(INT8, 4, 4)))
    assert select(replace(made, timing=STEADY)).reason == (
        f"chose {INT8}, 4.0 times as fast as eager where it was built, over {FP32} (1.0)"
    )
    assert select(replace(made, timing=BUSY)).reason == (
        f"chose {INT8} over {FP32}; its speed where it was built is not settled; "
        "`python -m distilforge bench RELEASE` measures it here"
    )


def test_the_only_one_needs_no_record(manifest: Manifest) -> None:
    made = replace(manifest, variants=(variant(FP32),))
    remember(made, {FP32: 1.0, INT8: 2.0})
    assert select(made).reason == f"chose {FP32}, the only one that can run here"
