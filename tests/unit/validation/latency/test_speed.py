"""Speeds are judged with three outcomes, and only a steady timing claims or withholds anything."""

from dataclasses import replace

import pytest
from distilforge.errors import ReleaseError
from distilforge.manifest import Measurement, Outcome, Variant, Verdict

from tests.timings import BUSY, SHAPES, timed
from validation.gates import LIMITS, Gates
from validation.judgement.verdicts import SPEEDUP_OVER_EAGER, SPEEDUP_OVER_SIBLING
from validation.latency import speed
from validation.latency.speed import ReleaseTiming
from validation.reports.report import EAGER, Report, VariantReport

FP32, FP16, INT8, OTHER = (
    "onnxruntime-cpu:fp32",
    "onnxruntime-cpu:fp16",
    "onnxruntime-cpu:int8",
    "other:fp32",
)


def variants(*names: str) -> tuple[Variant, ...]:
    return tuple(
        Variant(target=name.partition(":")[0], precision=name.partition(":")[2], files=()) for name in names
    )


def report(*names: str, failing: str = "") -> Report:
    wrong = Verdict(
        check="largest error", observed=2.0, comparison="at most", limit=1.0, unit="absolute", reason="r"
    )
    return Report(
        head="features",
        evaluation="",
        examples=0,
        variants=tuple(
            VariantReport(name=name, verdicts=(wrong,) if name == failing else ()) for name in names
        ),
        conditions={},
    )


def judged(
    taken: ReleaseTiming, *names: str, gates: Gates | None = None, failing: str = ""
) -> dict[str, VariantReport]:
    result = speed.judge(report(*names, failing=failing), variants(*names), taken, gates or Gates())
    assert result.timing == taken.steadiness
    assert Report.from_json(result.to_json()) == result
    return {variant.name: variant for variant in result.variants}


def only(verdicts: tuple[Verdict, ...], kind: str) -> Verdict:
    (verdict,) = (verdict for verdict in verdicts if verdict.kind == kind)
    return verdict


def test_fp32_that_is_slower_than_eager_is_published_and_says_so() -> None:
    (fp32,) = judged(timed({EAGER: 0.9, FP32: 1.0}), FP32).values()
    assert fp32.passed
    assert (fp32.withheld, fp32.verdicts) == ("", ())
    (note,) = fp32.notes
    assert note.startswith("It is slower than eager PyTorch on this machine: 0.")
    overall = fp32.overall(EAGER)
    assert overall is not None
    assert overall.ratio == pytest.approx(0.9, rel=0.02)  # the wobble is 1% a side
    assert [(speedup.batch, speedup.tokens) for speedup in fp32.over(EAGER)] == list(SHAPES)


def test_a_reduced_precision_that_is_slower_is_withheld() -> None:
    both = judged(timed({EAGER: 4.0, FP32: 1.0, INT8: 1.25}), FP32, INT8)
    int8 = both[INT8]
    assert only(int8.verdicts, SPEEDUP_OVER_SIBLING).outcome == "not met"
    assert int8.withheld.startswith(f"it is slower than {FP32}: 0.80 (")
    assert both[FP32].withheld == ""
    assert int8.siblings == (FP32,)


def test_a_reduced_precision_that_is_faster_meets_the_check() -> None:
    int8 = judged(timed({EAGER: 4.0, FP32: 2.0, INT8: 1.0}), FP32, INT8)[INT8]
    verdict = only(int8.verdicts, SPEEDUP_OVER_SIBLING)
    assert verdict.outcome == "met"
    assert verdict.interval is not None
    assert verdict.observed == verdict.interval[0] > 1.9
    assert (int8.withheld, int8.notes) == ("", ())


def test_a_tie_is_not_settled_and_published_with_a_note() -> None:
    int8 = judged(timed({EAGER: 4.0, FP32: 1.0, INT8: 1.0}, wobble=0.1), FP32, INT8)[INT8]
    verdict = only(int8.verdicts, SPEEDUP_OVER_SIBLING)
    assert (verdict.outcome, bool(verdict)) == ("not settled", True)
    assert int8.withheld == ""
    assert int8.passed
    (note,) = int8.notes
    assert note.startswith(f"It was not shown to be faster than {FP32}: ")


def test_an_unsteady_timing_claims_and_withholds_nothing() -> None:
    both = judged(timed({EAGER: 400.0, FP32: 1.0, INT8: 2.0}, BUSY), FP32, INT8)
    for result in both.values():
        assert (result.withheld, result.speedups) == ("", ())
        assert result.passed
        assert result.notes == (f"Its speed is not settled: {BUSY.reasons[0]}.",)
        assert {measurement.subject for measurement in result.measurements} == {EAGER, result.name}
    assert only(both[INT8].verdicts, SPEEDUP_OVER_SIBLING).outcome == "not settled"


def test_a_variant_that_is_wrong_fails_and_is_not_withheld() -> None:
    int8 = judged(timed({EAGER: 4.0, FP32: 1.0, INT8: 2.0}), FP32, INT8, failing=INT8)[INT8]
    assert not int8.passed
    assert int8.withheld == ""


def test_the_fastest_sibling_of_the_same_target_is_the_one_to_beat() -> None:
    taken = timed({EAGER: 4.0, FP32: 2.0, FP16: 1.0, INT8: 1.5, OTHER: 0.1})
    int8 = judged(taken, FP32, FP16, INT8, OTHER)[INT8]
    assert int8.siblings == (FP16,)
    assert int8.withheld.startswith(f"it is slower than {FP16}: 0.67 (")


def test_a_recipe_may_ask_for_a_speed_over_eager() -> None:
    taken = timed({EAGER: 2.0, FP32: 1.0})
    for limit, outcome in ((1.5, "met"), (3.0, "not met"), (2.0, "not settled")):
        (fp32,) = judged(taken, FP32, gates=Gates(speedup=limit)).values()
        assert only(fp32.verdicts, SPEEDUP_OVER_EAGER).outcome == outcome
        assert fp32.passed == (outcome != "not met")
    (busy,) = judged(replace(taken, steadiness=BUSY), FP32, gates=Gates(speedup=3.0)).values()
    assert busy.passed


def test_speeds_are_reported_and_not_judged_where_the_recipe_says_so() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.0, INT8: 2.0})
    both = judged(taken, FP32, INT8, gates=Gates(latency="report", speedup=9.0))
    assert all(result.verdicts == () and result.withheld == "" for result in both.values())
    assert both[INT8].overall(EAGER) is not None
    assert speed.judge(report(FP32), variants(FP32), None, Gates()) == report(FP32)


def test_a_mean_weighs_every_shape_alike() -> None:
    (fp32,) = judged(timed({EAGER: (1.0, 8.0), FP32: (2.0, 1.0)}, wobble=0.0), FP32).values()
    overall = fp32.overall(EAGER)
    assert overall is not None
    assert overall.ratio == pytest.approx(2.0)
    assert [speedup.ratio for speedup in fp32.over(EAGER)] == pytest.approx([0.5, 8.0])


def test_what_was_not_timed_has_no_speed() -> None:
    both = judged(timed({EAGER: 4.0, FP32: 1.0}), FP32, OTHER)
    assert both[OTHER] == VariantReport(name=OTHER)


def test_a_timing_survives_its_json() -> None:
    taken = replace(
        timed({EAGER: 4.0, FP32: 1.0}),
        steadiness=replace(BUSY, apart=(1, 3), megahertz=(2000.0, 3000.0), others_cores=0.5),
    )
    assert ReleaseTiming.from_json(taken.to_json()) == taken
    assert all(isinstance(measurement, Measurement) for measurement in taken.measurements)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"measurements": [], "threads": 2}'])
def test_what_is_not_a_timing_is_refused(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"timing\.json"):
        ReleaseTiming.from_json(text)


@pytest.mark.parametrize(
    ("seconds", "wobble", "outcome"),
    [
        (0.5, 0.01, "met"),
        (0.9, 0.01, "met"),
        (0.99, 0.1, "not settled"),
        (1.0, 0.1, "not settled"),
        (1.01, 0.1, "not settled"),
        (1.1, 0.01, "not met"),
        (2.0, 0.01, "not met"),
        (2.0, 0.3, "not met"),
    ],
)
def test_the_noise_decides_how_large_a_difference_must_be(
    seconds: float, wobble: float, outcome: Outcome
) -> None:
    int8 = judged(timed({EAGER: 4.0, FP32: 1.0, INT8: seconds}, wobble=wobble), FP32, INT8)[INT8]
    assert only(int8.verdicts, SPEEDUP_OVER_SIBLING).outcome == outcome
    assert bool(int8.withheld) == (outcome == "not met")


def test_an_exact_tie_meets_a_limit_of_one() -> None:
    int8 = judged(timed({EAGER: 4.0, FP32: 1.0, INT8: 1.0}, wobble=0.0), FP32, INT8)[INT8]
    verdict = only(int8.verdicts, SPEEDUP_OVER_SIBLING)
    assert (verdict.outcome, verdict.interval) == ("met", (1.0, 1.0))


def test_of_two_siblings_that_are_equally_fast_one_is_taken() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.0, FP16: 1.0, INT8: 0.5}, wobble=0.0)
    int8 = judged(taken, FP32, FP16, INT8)[INT8]
    assert len(int8.siblings) == 1
    assert int8.siblings[0] in (FP32, FP16)
    (verdict,) = int8.verdicts
    assert verdict.outcome == "met"


def test_a_sibling_that_was_not_timed_cannot_be_beaten_and_blocks_nothing() -> None:
    without_fp16 = judged(timed({EAGER: 4.0, FP32: 2.0, INT8: 1.0}), FP32, FP16, INT8)
    assert without_fp16[INT8].siblings == (FP32,)
    alone = judged(timed({EAGER: 4.0, INT8: 9.0}), FP32, FP16, INT8)
    assert (alone[INT8].siblings, alone[INT8].verdicts, alone[INT8].withheld) == ((), (), "")
    assert alone[INT8].notes[0].startswith("It is slower than eager PyTorch on this machine: 0.44")


def test_without_eager_nothing_is_judged() -> None:
    both = judged(timed({FP32: 1.0, INT8: 2.0}), FP32, INT8)
    assert both == {name: VariantReport(name=name) for name in (FP32, INT8)}


def test_only_the_precisions_that_the_limits_name_are_siblings() -> None:
    limits = {**LIMITS, "int8": replace(LIMITS["int8"], faster_than=("fp32",))}
    taken = timed({EAGER: 4.0, FP32: 2.0, FP16: 0.5, INT8: 1.0})
    int8 = judged(taken, FP32, FP16, INT8, gates=Gates(limits=limits))[INT8]
    assert int8.siblings == (FP32,)
    assert int8.withheld == ""


def test_a_withheld_sibling_is_still_the_one_to_beat() -> None:
    # fp16 is slower than fp32 and withheld; int8 must beat fp32, the faster of the two
    both = judged(timed({EAGER: 4.0, FP32: 1.0, FP16: 2.0, INT8: 1.5}), FP32, FP16, INT8)
    assert both[FP16].withheld.startswith(f"it is slower than {FP32}")
    assert both[INT8].withheld.startswith(f"it is slower than {FP32}")


def test_a_recipe_may_ask_for_more_than_a_tie() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.5, INT8: 1.0})
    for limit, outcome in ((1.2, "met"), (2.0, "not met"), (0.0, "met")):
        int8 = judged(taken, FP32, INT8, gates=Gates(sibling_speedup=limit))[INT8]
        verdict = only(int8.verdicts, SPEEDUP_OVER_SIBLING)
        assert (verdict.outcome, verdict.limit) == (outcome, limit)
    assert (
        "it must be at least 2 times as fast"
        in judged(taken, FP32, INT8, gates=Gates(sibling_speedup=2.0))[INT8].withheld
    )


def test_checks_of_speed_come_after_those_of_the_answers_and_eager_before_the_sibling() -> None:
    gates = Gates(speedup=1.0)
    int8 = judged(timed({EAGER: 4.0, FP32: 2.0, INT8: 1.0}), FP32, INT8, gates=gates, failing=INT8)[INT8]
    assert [verdict.kind for verdict in int8.verdicts] == ["", SPEEDUP_OVER_EAGER, SPEEDUP_OVER_SIBLING]


def test_rounds_with_the_cores_apart_do_not_count() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.0, INT8: 0.5}, wobble=0.0)

    def slowed(measurement: Measurement) -> Measurement:
        if measurement.subject != INT8:
            return measurement
        return replace(measurement, seconds=(*[9.0] * 7, *measurement.seconds[7:]))

    disturbed = replace(taken, measurements=tuple(map(slowed, taken.measurements)))
    apart = replace(disturbed, steadiness=replace(disturbed.steadiness, apart=tuple(range(7))))
    for given, outcome in ((disturbed, "not settled"), (apart, "met")):
        verdict = only(judged(given, FP32, INT8)[INT8].verdicts, SPEEDUP_OVER_SIBLING)
        assert verdict.outcome == outcome


def test_too_few_rounds_settle_nothing() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.0, INT8: 2.0})
    few = replace(
        taken,
        measurements=tuple(
            replace(measurement, seconds=measurement.seconds[:4], runs=measurement.runs[:4])
            for measurement in taken.measurements
        ),
    )
    int8 = judged(few, FP32, INT8)[INT8]
    verdict = only(int8.verdicts, SPEEDUP_OVER_SIBLING)
    assert (verdict.outcome, verdict.interval) == ("not settled", None)
    assert (int8.withheld, int8.speedups) == ("", ())


def test_a_higher_confidence_widens_the_interval() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.0, INT8: 0.98}, wobble=0.1)

    def interval(confidence: float) -> tuple[float, float]:
        int8 = judged(taken, FP32, INT8, gates=Gates(confidence=confidence))[INT8]
        measured = only(int8.verdicts, SPEEDUP_OVER_SIBLING).interval
        assert measured is not None
        return measured

    narrow, wide = interval(0.8), interval(0.999)
    assert wide[0] <= narrow[0] < narrow[1] <= wide[1]
    assert wide != narrow
