"""The verdict on token ids."""

from validation.reports.report import Report, VariantReport
from validation.token_ids.result import TokenIdComparison
from validation.token_ids.verdict import judge, with_verdict

REPORT = Report(
    head="features",
    evaluation="",
    examples=0,
    variants=(VariantReport(name="a:fp32"), VariantReport(name="a:int8", withheld="it is slower")),
    conditions={},
    notes=("a note",),
)
COMPARED = TokenIdComparison(oracle="transformers 4.57.6", texts=2_000)
NOT_COMPARED = TokenIdComparison(oracle="", texts=0, obstacle="transformers is not installed")


def test_equal_ids_are_a_check_that_is_met() -> None:
    verdict = judge(COMPARED)
    assert (verdict.outcome, verdict.observed, verdict.limit) == ("met", 0.0, 0.0)
    assert verdict.check == "texts with other token ids than transformers 4.57.6, of 2,000"
    assert verdict.kind == "token ids"


def test_ids_that_were_not_compared_are_not_settled() -> None:
    verdict = judge(NOT_COMPARED)
    assert verdict.outcome == "not settled"
    assert "transformers is not installed" in verdict.reason


def test_the_report_counts_the_check_for_each_variant_that_is_published() -> None:
    report = with_verdict(REPORT, COMPARED)
    assert [len(variant.verdicts) for variant in report.variants] == [1, 0]
    assert report.notes == ("a note",)
    assert report.passed


def test_the_report_says_that_ids_were_not_compared() -> None:
    report = with_verdict(REPORT, NOT_COMPARED)
    assert report.notes[-1] == "Token ids were not compared with transformers: transformers is not installed."
    assert report.passed


def test_the_json_is_read_back() -> None:
    for comparison in (COMPARED, NOT_COMPARED):
        assert TokenIdComparison.from_json(comparison.to_json(), "token_ids.json") == comparison
