"""Several variants of one release: the order in which their losses count."""

import numpy as np
from distilforge.manifest import Verdict

from validation.gates import Gates
from validation.judgement import verdicts
from validation.judgement.family import in_fixed_order
from validation.reports.report import VariantReport
from validation.statistics import metrics
from validation.statistics.sequential import single_look

LOOK = single_look(1500, 0.95)


def report(name: str, lost: int) -> VariantReport:
    right = np.ones(1500)
    worse = right.copy()
    worse[:lost] = 0
    loss = verdicts.judge_loss(
        metrics.mean("accuracy", right), metrics.mean("accuracy", worse), LOOK, Gates()
    )
    return VariantReport(name=name, verdicts=(verdicts.judge_finite(0), loss))


def loss(report: VariantReport) -> Verdict:
    return report.verdicts[1]


def test_where_all_are_met_nothing_changes() -> None:
    reports = (report("cpu:int8", 3), report("cpu:fp32", 0), report("gpu:fp16", 1))
    assert in_fixed_order(reports) == reports


def test_after_one_that_is_not_met_no_lower_precision_is_claimed() -> None:
    reports = (report("cpu:int8", 0), report("cpu:fp32", 0), report("gpu:fp16", 20), report("own:other", 0))
    judged = in_fixed_order(reports)
    assert [one.name for one in judged] == [one.name for one in reports]
    assert [loss(one).outcome for one in judged] == ["not settled", "met", "not met", "not settled"]
    assert "gpu:fp16, which is judged before it" in loss(judged[0]).reason
    assert judged[0].verdicts[0].outcome == "met", "only the loss is in question"
    assert not judged[2].passed


def test_a_loss_that_is_not_met_stays_so() -> None:
    judged = in_fixed_order((report("cpu:fp32", 20), report("cpu:int8", 30)))
    assert [loss(one).outcome for one in judged] == ["not met", "not met"]


def test_at_most_five_of_a_hundred_releases_claim_a_loss_that_is_beyond_the_margin() -> None:
    # Four variants, each on the margin: without an order, one of them would pass in up to 18% of the runs
    random = np.random.default_rng(4)
    claimed = apart = 0
    runs = 1000
    draws = random.binomial(1500, 0.01, (runs, 4))
    finite = verdicts.judge_finite(0)
    outcomes = {count: loss(report("cpu:fp32", count)) for count in set(draws.ravel().tolist())}
    for counts in draws:
        reports = [
            VariantReport(name=name, verdicts=(finite, outcomes[int(count)]))
            for name, count in zip(("a:fp32", "a:fp16", "a:int8", "b:int8"), counts, strict=True)
        ]
        apart += any(loss(one).outcome == "met" for one in reports)
        claimed += any(loss(one).outcome == "met" for one in in_fixed_order(reports))
    assert apart / runs > 0.08
    assert claimed / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
