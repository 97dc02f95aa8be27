"""Among variants that can run here: validated first, then the fastest here or where it was built; the log says so."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import distilforge
import pytest
from distilforge import UnavailableError, machine
from distilforge.backends import backends
from distilforge.backends.onnxruntime_cpu import OnnxRuntimeCpu
from distilforge.manifest import Measurement, Steadiness, Variant
from distilforge.measured import memory
from distilforge.ranking import speedups

from tests.outcomes import remembered
from tests.runtime_release import copied, read_manifest, write_manifest

SHAPES = ((1, 16), (8, 128))
FP32, INT8, INT8_7BIT = (f"onnxruntime-cpu:{precision}" for precision in ("fp32", "int8", "int8_7bit"))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return copied("sequence_classification", tmp_path / "release")


def measured(variant: Variant, *times: float, shapes: tuple[tuple[int, int], ...] = SHAPES) -> Variant:
    """`variant`, so many times as fast as eager at each shape; an outlier must not move a median."""
    return replace(
        variant,
        measurements=tuple(
            Measurement(subject=subject, batch=batch, tokens=tokens, seconds=(seconds, seconds, 60.0))
            for (batch, tokens), ratio in zip(shapes, times, strict=True)
            for subject, seconds in (("eager", 0.2), (variant.name, 0.2 / ratio))
        ),
    )


def write_variants(release: Path, *variants: Variant) -> None:
    write_manifest(release, replace(read_manifest(release), variants=variants))


def variant(release: Path, precision: str, **changes: object) -> Variant:
    return replace(read_manifest(release).variants[0], precision=precision, **changes)  # type: ignore[arg-type]


def test_the_fastest_is_chosen_and_the_log_has_the_numbers(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fp32, int8 = (variant(release, precision) for precision in ("fp32", "int8"))
    write_variants(release, measured(fp32, 1.0, 4.0), measured(int8, 4.0, 4.2))
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert distilforge.open(release).variant.name == INT8
    assert f"chose {INT8}, 4.1 times as fast as eager where it was built, before {FP32} (2.0)" in caplog.text


def test_a_slower_quantized_variant_is_not_chosen(release: Path) -> None:
    fp32, int8 = (variant(release, precision) for precision in ("fp32", "int8"))
    write_variants(release, measured(int8, 1.4, 1.4), measured(fp32, 1.5, 1.5))
    assert distilforge.open(release).variant.name == FP32


def test_what_was_validated_goes_before_what_is_fast(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    fp32, int8 = variant(release, "fp32"), variant(release, "int8", validated=False)
    write_variants(release, measured(int8, 9, 9), measured(fp32, 2, 2))
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert distilforge.open(release).variant.name == FP32
    assert f"before {INT8} (9.0), not validated" in caplog.text


def test_without_measurements_the_manifest_decides(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    for order in (("fp32", "int8"), ("int8", "fp32")):
        write_variants(release, *(variant(release, precision) for precision in order))
        with caplog.at_level(logging.INFO, logger="distilforge"):
            assert distilforge.open(release).variant.precision == order[0]
    assert f"chose {INT8} before {FP32}\n" in caplog.text


def test_what_was_measured_goes_before_what_was_not(release: Path) -> None:
    write_variants(release, variant(release, "int8"), measured(variant(release, "fp32"), 1, 1))
    assert distilforge.open(release).variant.name == FP32


def test_only_shapes_that_all_have_are_compared(release: Path) -> None:
    fp32, int8 = (variant(release, precision) for precision in ("fp32", "int8"))
    more = measured(fp32, 2, 2, 100, shapes=(*SHAPES, (4, 4)))
    assert speedups([more, measured(int8, 3, 3)]) == pytest.approx({FP32: 2.0, INT8: 3.0})
    assert speedups([measured(fp32, 2, shapes=((1, 1),)), measured(int8, 3, shapes=((2, 2),))]) == {}


@pytest.mark.parametrize(
    "broken",
    [
        (),
        (Measurement(subject=FP32, batch=1, tokens=1, seconds=(0.1,)),),
        (
            Measurement(subject="eager", batch=1, tokens=1, seconds=(0.1,)),
            Measurement(subject=FP32, batch=1, tokens=1, seconds=()),
        ),
        (
            Measurement(subject="eager", batch=1, tokens=1, seconds=(0.1,)),
            Measurement(subject=FP32, batch=1, tokens=1, seconds=(0.0,)),
        ),
    ],
)
def test_measurements_that_say_nothing(release: Path, broken: tuple[Measurement, ...]) -> None:
    assert speedups([replace(variant(release, "fp32"), measurements=broken)]) == {}


@pytest.fixture
def saturating(release: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release whose fastest variant this machine is said not to compute exactly."""
    monkeypatch.setitem(machine.needs._entries, "exact-int8", lambda: "sums are cut off")
    write_variants(
        release,
        measured(variant(release, "int8", needs=("exact-int8",)), 9, 9),
        measured(variant(release, "int8_7bit"), 5, 5),
        measured(variant(release, "fp32"), 2, 2),
    )
    return release


def test_a_variant_that_needs_more_is_passed_over(saturating: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="distilforge"):
        assert distilforge.open(saturating).variant.name == INT8_7BIT
    assert f"{INT8} cannot run here: it needs 'exact-int8', and sums are cut off" in caplog.text


def test_asking_for_it_is_an_error_that_names_another(saturating: Path) -> None:
    with pytest.raises(
        UnavailableError,
        match=rf"(?s){INT8}' cannot run on this machine: it needs 'exact-int8', and sums are cut off.*"
        rf"pass variant='{INT8_7BIT}'",
    ):
        distilforge.open(saturating, variant=INT8)


def test_nothing_else_can_run(release: Path) -> None:
    write_variants(release, variant(release, "int8", needs=("a new instruction",)))
    for asked in (None, INT8):
        with pytest.raises(
            UnavailableError, match="needs 'a new instruction', which this distilforge does not"
        ):
            distilforge.open(release, variant=asked)


def test_the_machine_is_only_asked_where_a_variant_needs_it(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str | None:
        raise AssertionError("nobody needs to know")

    monkeypatch.setitem(machine.needs._entries, "exact-int8", refuse)
    assert distilforge.open(release).variant.name == FP32


THERE = "tests-elsewhere:fp16"
UNSTEADY = Steadiness(steady=False, reasons=("others took a core",), rounds=3)


@dataclass(frozen=True, slots=True)
class Elsewhere(OnnxRuntimeCpu):
    """The CPU's backend under another name, which is preferred."""

    preference: int = 200


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(backends._entries, "tests-elsewhere", Elsewhere())


def reason(release: Path, caplog: pytest.LogCaptureFixture, threads: int | None = None) -> str:
    """What the log says of opening `release`."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="distilforge"):
        distilforge.open(release, threads=threads)
    return caplog.messages[0].partition(": ")[2]


@pytest.mark.usefixtures("cache")
def test_what_was_fastest_here_goes_before_what_was_fastest_there(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fp32, int8 = (variant(release, precision) for precision in ("fp32", "int8"))
    write_variants(release, measured(fp32, 1, 1), measured(int8, 4, 4))
    memory.remember(remembered(release, {INT8: 1.0, FP32: 2.1}))
    assert reason(release, caplog) == (
        f"chose {FP32}, 2.1 times as fast as {INT8} measured on this machine on 2026-11-25"
    )
    assert reason(release, caplog, threads=2).startswith(f"chose {INT8}, 4.0 times as fast as eager where")


@pytest.mark.usefixtures("cache")
def test_where_all_were_measured_here_the_fastest_goes_before_the_preferred(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fp32, int8 = variant(release, "fp32"), variant(release, "int8")
    write_variants(release, fp32, variant(release, "fp16", target="tests-elsewhere"), int8)
    assert reason(release, caplog) == f"chose {THERE} before {FP32}, {INT8}"
    memory.remember(remembered(release, {FP32: 1.0, INT8: 3.0}))
    assert reason(release, caplog) == f"chose {THERE} before {FP32}, {INT8}"
    memory.remember(remembered(release, {FP32: 1.0, INT8: 3.0, THERE: 2.0}))
    assert reason(release, caplog) == (
        f"chose {INT8}, 1.5 times as fast as {THERE} measured on this machine on 2026-11-25, before {FP32}"
    )


@pytest.mark.usefixtures("cache")
def test_where_the_preferred_were_measured_here_the_fastest_of_them(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = [variant(release, precision, target="tests-elsewhere") for precision in ("fp16", "int8")]
    write_variants(release, variant(release, "fp32"), *there)
    memory.remember(remembered(release, {THERE: 1.0, "tests-elsewhere:int8": 1.25}))
    assert reason(release, caplog) == (
        f"chose tests-elsewhere:int8, 1.2 times as fast as {THERE} measured on this machine on 2026-11-25, "
        f"before {FP32}"
    )


@pytest.mark.usefixtures("cache")
def test_what_was_validated_goes_before_what_was_fastest_here(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_variants(
        release,
        variant(release, "fp32"),
        variant(release, "int8", validated=False),
        variant(release, "int8_7bit"),
    )
    memory.remember(remembered(release, {FP32: 1.0, INT8: 9.0, INT8_7BIT: 3.0}))
    assert reason(release, caplog) == (
        f"chose {INT8_7BIT}, 3.0 times as fast as {FP32} measured on this machine on 2026-11-25, "
        f"before {INT8}, not validated"
    )


@pytest.mark.usefixtures("cache")
def test_a_partial_outcome_is_no_choice(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    fp32, int8 = (variant(release, precision) for precision in ("fp32", "int8"))
    write_variants(release, measured(fp32, 1, 1), measured(int8, 4, 4), variant(release, "int8_7bit"))
    memory.remember(remembered(release, {FP32: 2.0, INT8: 1.0}))
    assert reason(release, caplog).startswith(f"chose {INT8}, 4.0 times as fast as eager where it was built")


@pytest.mark.usefixtures("cache")
def test_what_is_not_settled_orders_and_claims_nothing(
    release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fp32, int8 = (variant(release, precision) for precision in ("fp32", "int8"))
    write_variants(release, measured(fp32, 1, 1), measured(int8, 4, 4))
    steady = replace(UNSTEADY, steady=True, reasons=())
    write_manifest(release, replace(read_manifest(release), timing=steady))
    assert reason(release, caplog) == (
        f"chose {INT8}, 4.0 times as fast as eager where it was built, before {FP32} (1.0)"
    )
    write_manifest(release, replace(read_manifest(release), timing=UNSTEADY))
    assert reason(release, caplog) == (
        f"chose {INT8} before {FP32}; its speed where it was built is not settled; "
        "`python -m distilforge bench RELEASE` measures it here"
    )


def test_rounds_apart_are_left_out(release: Path) -> None:
    fp32 = measured(variant(release, "fp32"), 2, 2)
    assert speedups([fp32], apart=(0, 1)) == pytest.approx({FP32: 1.0})


@pytest.mark.usefixtures("cache")
def test_one_that_can_run_needs_no_memory(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory.remember(remembered(release, {FP32: 1.0, INT8: 2.0}))
    assert reason(release, caplog) == f"chose {FP32}, the one that can run here"
