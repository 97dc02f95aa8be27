"""The verdict on token ids, in the report on every variant."""

from dataclasses import replace

from distilforge.manifest import Verdict

from validation.judgement.verdicts import TOKEN_IDS, verdict_of
from validation.reports.report import Report
from validation.token_ids.result import TokenIdComparison

_REASON = (
    "the model was trained on the token ids of transformers: with any others, eager PyTorch and every variant agree on "
    "wrong answers"
)


def with_verdict(report: Report, comparison: TokenIdComparison) -> Report:
    """`report` with the verdict on token ids for each variant, and a note if they were not compared."""
    verdict = judge(comparison)
    return replace(
        report,
        variants=tuple(
            variant if variant.withheld else replace(variant, verdicts=(*variant.verdicts, verdict))
            for variant in report.variants
        ),
        notes=(*report.notes, *((comparison.note,) if comparison.note else ())),
    )


def judge(comparison: TokenIdComparison) -> Verdict:
    """Are the token ids of all texts those of transformers? Not settled if they were not compared."""
    compared = f"{comparison.oracle}, of {comparison.texts:,}" if comparison.oracle else "transformers"
    return verdict_of(
        check=f"texts with other token ids than {compared}",
        observed=0.0,
        comparison="at most",
        limit=0.0,
        unit="texts",
        reason=f"{_REASON}; they were not compared, because {comparison.obstacle}"
        if comparison.obstacle
        else _REASON,
        kind=TOKEN_IDS,
        settled=bool(comparison.oracle),
    )
