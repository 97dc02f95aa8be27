"""Each check: which side of its limit is met, what it is called, and that it gives the reason for its limit."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from distilforge.manifest import Outcome, Verdict
from distilforge.timing.ratios import Estimate
from scipy import stats

from validation.gates import Gates
from validation.judgement import verdicts
from validation.reports.report import EAGER, Stability
from validation.statistics import metrics
from validation.statistics.metrics import Score
from validation.statistics.noninferiority import smallest_upper_end
from validation.statistics.sequential import Look, single_look

EXAMPLES = 1500


def stability(largest: float = 0.0, changed: int = 0) -> Stability:
    return Stability(way="padded", texts=24, largest=largest, changed=changed, decisions=200)


def estimate(low: float, high: float) -> Estimate:
    return Estimate(value=(low * high) ** 0.5, interval=(low, high))


def accuracy(lost: int, gained: int = 0, examples: int = EXAMPLES) -> tuple[Score, Score]:
    """Eager is right on all but the last `gained` examples, which the variant gets right; it loses the first `lost`."""
    eager, variant = np.ones(examples), np.ones(examples)
    eager[examples - gained :], variant[:lost] = 0, 0
    return metrics.mean("accuracy", eager), metrics.mean("accuracy", variant)


@pytest.mark.parametrize(
    ("met", "missed"),
    [
        (
            lambda: verdicts.judge_error("texts", 1e-4, 1e-4),
            lambda: verdicts.judge_error("texts", 1.01e-4, 1e-4),
        ),
        (
            lambda: verdicts.judge_noise("texts", 0.35, 0.35),
            lambda: verdicts.judge_noise("texts", 0.351, 0.35),
        ),
        (lambda: verdicts.judge_agreement(98, 100, 0.98), lambda: verdicts.judge_agreement(97, 100, 0.98)),
        (lambda: verdicts.judge_cosine([1, 0.95], 0.95), lambda: verdicts.judge_cosine([1, 0.949], 0.95)),
        (
            lambda: verdicts.judge_shift(stability(0.01), 0.01),
            lambda: verdicts.judge_shift(stability(0.011), 0.01),
        ),
        (
            lambda: verdicts.judge_flips(stability(changed=1), 0.005),
            lambda: verdicts.judge_flips(stability(changed=2), 0.005),
        ),
        (lambda: verdicts.judge_finite(0), lambda: verdicts.judge_finite(1)),
    ],
)
def test_a_check_is_met_on_its_limit_and_not_beyond(
    met: Callable[[], Verdict], missed: Callable[[], Verdict]
) -> None:
    assert (met().outcome, missed().outcome) == ("met", "not met")
    assert met().kind == missed().kind
    assert met().kind in get_args(verdicts.Kind)
    assert met().reason


def test_the_worst_cosine_counts_and_not_the_mean() -> None:
    assert verdicts.judge_cosine([1.0] * 999 + [0.5], 0.95).observed == 0.5


def test_counts_are_in_the_names_of_checks() -> None:
    assert verdicts.judge_agreement(1499, 1500, 0.9).check == "labels that agree with eager's, of 1,500"
    assert verdicts.judge_flips(stability(), 0.1).check == "labels that change when padded, of 200"


def test_the_upper_end_of_the_loss_is_judged_and_not_the_loss() -> None:
    look = single_look(EXAMPLES, 0.95)
    within, beyond = (verdicts.judge_loss(*accuracy(lost), look, Gates()) for lost in (8, 9))
    # A percentile bootstrap passed nine losses: its upper end is 14 losses, where 15 are the margin
    assert (within.outcome, beyond.outcome) == ("met", "not met")
    assert beyond.interval is not None
    assert beyond.observed == beyond.interval[1] > 0.01 > 9 / EXAMPLES
    assert beyond.kind == verdicts.LOSS
    assert "after 1,500 of 1,500 examples, critical value 1.645" in beyond.reason
    assert beyond.check == "loss of accuracy, upper end at 95%"


def test_gains_make_up_for_losses() -> None:
    look = single_look(EXAMPLES, 0.95)
    assert verdicts.judge_loss(*accuracy(10, gained=10), look, Gates()).outcome == "met"
    assert verdicts.judge_loss(*accuracy(10), look, Gates()).outcome == "not met"


@pytest.mark.parametrize(
    ("examples", "lost", "outcome"),
    [
        (300, 0, "met"),
        (299, 0, "not settled"),
        (100, 0, "not settled"),
        (100, 20, "not met"),
        (2, 0, "not settled"),
    ],
)
def test_too_few_examples_settle_nothing_but_a_loss_that_is_far_too_large(
    examples: int, lost: int, outcome: Outcome
) -> None:
    verdict = verdicts.judge_loss(*accuracy(lost, examples=examples), single_look(examples, 0.95), Gates())
    assert verdict.outcome == outcome
    assert bool(verdict) == (outcome != "not met")


def test_a_number_that_differs_from_its_limit_by_rounding_alone_meets_it() -> None:
    # 0.1 + 0.2 is 0.30000000000000004
    assert verdicts.judge_noise("texts", 0.1 + 0.2, 0.3).outcome == "met"
    assert verdicts.judge_noise("texts", 0.1 + 0.2, 0.3).observed == 0.3
    assert verdicts.judge_noise("texts", 0.3 * (1 + 1e-8), 0.3).outcome == "not met"
    # The same losses meet the same margin, however accurate eager is
    look = single_look(500, 0.95)
    margin = float(stats.gamma.isf(0.05, 3)) / 500
    outcomes = set()
    for right in (300, 375, 405, 450, 500):
        eager = np.zeros(500)
        eager[:right] = 1
        variant = eager.copy()
        variant[:2] = 0
        pair = metrics.mean("accuracy", eager), metrics.mean("accuracy", variant)
        outcomes.add(verdicts.judge_loss(*pair, look, Gates(margin=margin)).outcome)
    assert outcomes == {"met"}


def test_what_eager_does_not_have_cannot_be_lost() -> None:
    right = np.zeros(500)
    right[:4] = 1
    bad = metrics.mean("accuracy", right)
    assert verdicts.judge_loss(bad, bad, single_look(500, 0.95), Gates()).outcome == "not settled"


def test_open_questions_are_named_once_each_and_those_of_speed_are_not() -> None:
    few = verdicts.judge_loss(*accuracy(0, examples=2), single_look(2, 0.95), Gates())
    slow = verdicts.judge_sibling(estimate(0.9, 1.1), "a:fp32", Gates(), steady=True)
    open_agreement = verdicts.judge_agreement(2, 2, 0.98, enough=False)
    assert verdicts.open_questions((few, few, slow, verdicts.judge_finite(0), open_agreement)) == (
        "the loss of the metric",
        "the agreement of labels",
    )
    assert set(verdicts.QUESTIONS) <= set(get_args(verdicts.Kind))


def test_an_early_look_asks_for_more() -> None:
    early = Look(examples=500, of=1500, critical=2.341)
    last = replace(early, of=500, critical=1.645)
    assert smallest_upper_end(500, early.critical) < 0.01
    pair = accuracy(1, examples=500)
    assert verdicts.judge_loss(*pair, early, Gates()).outcome == "not met"
    assert verdicts.judge_loss(*pair, last, Gates()).outcome == "met"


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (1.0, 1.2, "met"),
        (1.1, 1.2, "met"),
        (0.99, 1.2, "not settled"),
        (0.8, 1.0, "not settled"),
        (0.8, 0.999, "not met"),
    ],
)
def test_a_speed_has_three_outcomes(low: float, high: float, outcome: Outcome) -> None:
    verdict = verdicts.judge_sibling(estimate(low, high), "onnxruntime-cpu:fp32", Gates(), steady=True)
    assert verdict.outcome == outcome
    assert verdict.observed == low
    unsteady = verdicts.judge_sibling(estimate(low, high), "onnxruntime-cpu:fp32", Gates(), steady=False)
    assert unsteady.outcome == "not settled"


def test_a_speed_without_an_interval_is_not_settled() -> None:
    bare = Estimate(value=9.0, interval=None)
    verdict = verdicts.judge_speedup(bare, Gates(speedup=2.0), steady=True)
    assert (verdict.outcome, verdict.interval, verdict.observed) == ("not settled", None, 0.0)


def test_both_checks_of_speed_have_their_own_limit_and_kind() -> None:
    gates = Gates(speedup=2.0, sibling_speedup=1.5)
    over_eager = verdicts.judge_speedup(estimate(1.6, 1.7), gates, steady=True)
    over_sibling = verdicts.judge_sibling(estimate(1.6, 1.7), "a:fp32", gates, steady=True)
    assert (over_eager.limit, over_eager.outcome, over_eager.kind) == (2.0, "not met", "speedup over eager")
    assert (over_sibling.limit, over_sibling.outcome, over_sibling.kind) == (
        1.5,
        "met",
        "speedup over sibling",
    )
    assert EAGER in over_eager.check
    assert "a:fp32" in over_sibling.check
