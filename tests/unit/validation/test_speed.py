"""Speeds are judged in three outcomes, and only a steady timing claims or withholds anything."""

from dataclasses import replace

import pytest
from distilforge.manifest import Measurement, Variant, Verdict

from tests.timings import BUSY, SHAPES, timed
from validation import speed
from validation.gate import Gates
from validation.report import EAGER, Report, VariantReport
from validation.speed import Timed
from validation.verdicts import SPEEDUP_OVER_EAGER, SPEEDUP_OVER_SIBLING

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
    taken: Timed, *names: str, gates: Gates | None = None, failing: str = ""
) -> dict[str, VariantReport]:
    made = speed.judge(report(*names, failing=failing), variants(*names), taken, gates or Gates())
    assert made.timing == taken.steadiness
    assert Report.from_json(made.to_json()) == made
    return {one.name: one for one in made.variants}


def only(verdicts: tuple[Verdict, ...], kind: str) -> Verdict:
    (verdict,) = (one for one in verdicts if one.kind == kind)
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
    assert [(one.batch, one.tokens) for one in fp32.over(EAGER)] == list(SHAPES)


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
    for one in both.values():
        assert (one.withheld, one.speedups) == ("", ())
        assert one.passed
        assert one.notes == (f"Its speed is not settled: {BUSY.reasons[0]}.",)
        assert {taken.subject for taken in one.measurements} == {EAGER, one.name}
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


def test_speeds_are_only_told_where_the_recipe_says_so() -> None:
    taken = timed({EAGER: 4.0, FP32: 1.0, INT8: 2.0})
    both = judged(taken, FP32, INT8, gates=Gates(latency="report", speedup=9.0))
    assert all(one.verdicts == () and one.withheld == "" for one in both.values())
    assert both[INT8].overall(EAGER) is not None
    assert speed.judge(report(FP32), variants(FP32), None, Gates()) == report(FP32)


def test_a_mean_weighs_every_shape_alike() -> None:
    (fp32,) = judged(timed({EAGER: (1.0, 8.0), FP32: (2.0, 1.0)}, wobble=0.0), FP32).values()
    overall = fp32.overall(EAGER)
    assert overall is not None
    assert overall.ratio == pytest.approx(2.0)
    assert [one.ratio for one in fp32.over(EAGER)] == pytest.approx([0.5, 8.0])


def test_what_was_not_timed_has_no_speed() -> None:
    both = judged(timed({EAGER: 4.0, FP32: 1.0}), FP32, OTHER)
    assert both[OTHER] == VariantReport(name=OTHER)


def test_a_timing_survives_its_json() -> None:
    taken = replace(
        timed({EAGER: 4.0, FP32: 1.0}),
        steadiness=replace(BUSY, apart=(1, 3), megahertz=(2000.0, 3000.0), others_cores=0.5),
    )
    assert Timed.from_json(taken.to_json()) == taken
    assert all(isinstance(one, Measurement) for one in taken.measurements)
