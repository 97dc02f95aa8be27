"""The table of verdicts: text in every cell, and no numbers of what is not settled."""

from dataclasses import replace

import pytest
from distilforge.manifest import Verdict

from validation.reports.report import Report, VariantReport, headroom
from validation.reports.table import short, verdict_rows

LOSS = Verdict(
    check="loss of accuracy",
    observed=0.034,
    comparison="at most",
    limit=0.01,
    unit="accuracy",
    reason="so it is",
    interval=(0.012, 0.034),
)
AGREEMENT = Verdict(
    check="labels", observed=0.99, comparison="at least", limit=0.98, unit="share", reason="because"
)
REPORT = Report(
    head="sequence_classification",
    evaluation="data.jsonl",
    examples=1500,
    variants=(
        VariantReport(name="a:fp32", verdicts=(AGREEMENT, LOSS)),
        VariantReport(name="a:int8", verdicts=(replace(LOSS, settled=False),)),
    ),
    conditions={},
)


def test_rows_hold_observed_beside_limit_in_the_order_judged() -> None:
    met, failed, unsettled = verdict_rows(REPORT)
    assert [row.variant for row in (met, failed, unsettled)] == ["a:fp32", "a:fp32", "a:int8"]
    assert (met.observed, met.limit, met.mark, met.interval) == ("0.99", "at least 0.98", "✓ pass", "")
    assert (failed.observed, failed.limit, failed.mark) == ("0.034", "at most 0.01", "✗ FAIL")
    assert failed.interval == "0.012 to 0.034"
    assert (met.headroom, failed.headroom) == ("0.01", "-0.024")


def test_a_number_just_beyond_its_limit_does_not_look_equal_to_it() -> None:
    near = replace(
        REPORT, variants=(VariantReport(name="a:fp32", verdicts=(replace(LOSS, observed=0.010004),)),)
    )
    (row,) = verdict_rows(near)
    assert (row.observed, row.limit) == ("0.010004", "at most 0.01")


def test_what_is_not_settled_shows_its_limit_and_no_numbers() -> None:
    row = verdict_rows(REPORT)[-1]
    assert (row.mark, row.outcome) == ("? not settled", "not settled")
    assert (row.observed, row.interval, row.headroom) == ("-", "", "-")
    assert row.limit == "at most 0.01"


@pytest.mark.parametrize("verdict", [LOSS, AGREEMENT])
def test_headroom_is_positive_exactly_where_a_check_is_met(verdict: Verdict) -> None:
    for observed in (0.005, 0.5, 0.995):
        changed = replace(verdict, observed=observed)
        assert (headroom(changed) >= 0) == bool(changed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-2.0, "-2"),
        (3.0, "3"),
        (1.2345, "1.23"),
        (-0.024, "-0.024"),
        (1451.7, "1452"),
        (7.15e-6, "7.15e-06"),
        (1e-3, "0.001"),
        (9.999e-4, "1.00e-03"),
        (1234567.5, "1.23e+06"),
        (2.5e9, "2500000000"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text
