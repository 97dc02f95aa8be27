"""Several variants in one release: in which order their losses are judged, so that no correction is needed.

Each variant's loss is tested with the whole error probability, in an order that is fixed before any answer: from the
precision nearest to the checkpoint's to the one that rounds most. A loss only counts as met if those of all variants
before it are met. Then the probability of meeting any that is beyond the margin is no larger than for one variant
(the fixed-sequence procedure: Maurer, Hothorn and Lehmacher 1995; with several looks: Glimm, Maurer and Bretz 2010). A
release is published only if no check failed, so the order takes nothing from it: Holm's procedure would.

The checks of one variant need no correction either: it passes only if all are met (the intersection-union test: Berger
1982). Where one of many classes alone would make a variant fail, `validation.statistics.classes` corrects for their
number.
"""

from collections.abc import Sequence
from dataclasses import replace

from distilforge.manifest import Verdict

from validation.gates import LIMITS
from validation.judgement.verdicts import LOSS
from validation.reports.report import VariantReport


def in_fixed_order(reports: Sequence[VariantReport]) -> tuple[VariantReport, ...]:
    """`reports`, with every loss not settled that comes after one that is not met or not settled."""
    ranks = {precision: rank for rank, precision in enumerate(LIMITS)}
    blocked, judged = "", {}
    for report in sorted(reports, key=lambda report: ranks.get(_precision(report), len(ranks))):
        judged[report.name] = _unsettled(report, blocked) if blocked else report
        if not blocked and any(
            verdict.kind == LOSS and verdict.outcome != "met" for verdict in report.verdicts
        ):
            blocked = report.name
    return tuple(judged[report.name] for report in reports)


def _precision(report: VariantReport) -> str:
    return report.name.rpartition(":")[2]


def _unsettled(report: VariantReport, before: str) -> VariantReport:
    def of(verdict: Verdict) -> Verdict:
        if verdict.kind != LOSS or verdict.outcome != "met":
            return verdict
        return replace(
            verdict,
            settled=False,
            reason=f"{verdict.reason}; not settled, because {before}, which is judged before it, does not meet this "
            "check",
        )

    return replace(report, verdicts=tuple(map(of, report.verdicts)))
