"""The interval of the loss: against published limits, exact chances, made-up samples and a bootstrap. All is seeded."""

import itertools

import numpy as np
import pytest
from scipy import stats

from validation import metrics
from validation.gate import Gates
from validation.metrics import Array, Score
from validation.noninferiority import Sums, contributions, difference_limits, loss_interval, unseen
from validation.sequential import single_look
from validation.verdicts import LOSS, judge_loss

EXAMPLES = 1500
ONE_SIDED = float(stats.norm.ppf(0.95))


def answers(lost: int, gained: int, examples: int = EXAMPLES) -> tuple[Score, Score]:
    """Accuracy of eager and of a variant that is wrong on `lost` examples more and right on `gained` others."""
    eager = np.zeros(examples)
    eager[: examples * 3 // 4] = 1
    variant = eager.copy()
    variant[:lost] = 0
    variant[examples - gained :] = 1
    return metrics.mean("accuracy", eager), metrics.mean("accuracy", variant)


def of_counts(lost: Array, gained: Array, critical: float = ONE_SIDED) -> tuple[Array, Array]:
    return difference_limits(Sums.of_counts(lost), Sums.of_counts(gained), critical)


@pytest.mark.parametrize(
    ("events", "lower", "upper"),
    # Garwood 1936, two-sided 95%, as in every table of limits for a Poisson count
    [(0, 0.0, 3.689), (1, 0.025, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390), (50, 37.111, 65.919)],
)
def test_limits_of_counts_are_garwoods(events: int, lower: float, upper: float) -> None:
    sums = Sums.of_counts(np.asarray(float(events)))
    assert float(sums.lower(0.025)) == pytest.approx(lower, abs=5e-4)  # the table has three decimals
    assert float(sums.upper(0.025)) == pytest.approx(upper, abs=5e-4)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (9, 0), (0, 7), (12, 5), (90, 75)])
def test_right_and_wrong_answers_are_counts(lost: int, gained: int) -> None:
    found = np.asarray(loss_interval(*answers(lost, gained), critical=ONE_SIDED))
    expected = np.asarray(of_counts(np.asarray(float(lost)), np.asarray(float(gained)))) / EXAMPLES
    # Pseudo-values are differences of numbers N times as large: they keep twelve digits of sixteen
    assert found == pytest.approx(expected, abs=1e-9)


def test_no_difference_leaves_room_for_what_so_many_examples_cannot_show() -> None:
    low, high = loss_interval(*answers(0, 0), critical=ONE_SIDED)
    assert high == pytest.approx(-np.log(0.05) / EXAMPLES)
    assert low == -high
    assert unseen(EXAMPLES, ONE_SIDED) == high


def test_nine_losses_and_no_gain_in_1500_are_too_many_for_one_point() -> None:
    # A percentile bootstrap passed them: its upper end is 14 losses, where 15 are the margin
    assert judge_loss(*answers(8, 0), single_look(EXAMPLES, 0.95), Gates())
    assert not judge_loss(*answers(9, 0), single_look(EXAMPLES, 0.95), Gates())


@pytest.mark.parametrize("margin", [0.005, 0.01, 0.05])
def test_losses_alone_on_the_margin_pass_in_at_most_five_of_a_hundred_runs_whatever_their_number(
    margin: float,
) -> None:
    # No simulation: the chance of the largest count that passes is a binomial distribution's.
    counts = np.arange(0.0, 60.0)
    _, upper = of_counts(counts, np.zeros_like(counts))
    for examples in range(50, 2001):
        passing = counts[upper / examples <= margin]
        if len(passing):
            assert stats.binom.cdf(passing[-1], examples, margin) <= 0.05


@pytest.mark.parametrize(
    ("lost", "gained", "examples"),
    [(0.03, 0.01, 400), (0.06, 0.05, 1500), (0.3, 0.25, 300), (0.005, 0.005, 600)],
)
def test_both_ends_cover_the_true_loss_as_often_as_they_say(
    lost: float, gained: float, examples: int
) -> None:
    random = np.random.default_rng(3)
    drawn = random.multinomial(examples, [lost, gained, 1 - lost - gained], size=10_000).astype(np.float64)
    low, high = of_counts(drawn[:, 0], drawn[:, 1])
    true = (lost - gained) * examples
    # 95%, less three standard errors of a share of 10,000; limits of small counts cover more often than they must
    assert 0.9435 <= (high >= true).mean() <= 0.99
    assert 0.9435 <= (low <= true).mean() <= 0.99


def test_a_higher_critical_value_gives_a_wider_interval() -> None:
    pair = answers(12, 5)
    ends = [loss_interval(*pair, critical=critical) for critical in (0.5, 1.0, 1.645, 2.0, 2.5)]
    for inner, outer in itertools.pairwise(ends):
        assert outer[0] < inner[0] < 7 / EXAMPLES < inner[1] < outer[1]


def test_examples_are_paired() -> None:
    # Two models at 75% that answer alike differ less than two that are right on different examples.
    random = np.random.default_rng(5)
    first, second = (metrics.mean("accuracy", (random.random(EXAMPLES) < 0.75).astype(float)) for _ in "12")
    apart = loss_interval(first, second, critical=ONE_SIDED)
    alike = loss_interval(*answers(8, 7), critical=ONE_SIDED)
    assert alike[1] - alike[0] < (apart[1] - apart[0]) / 3


def test_the_contributions_to_a_mean_are_the_examples_own_losses() -> None:
    random = np.random.default_rng(6)
    eager, variant = random.random((2, 400))
    found = contributions(metrics.mean("answer F1", eager), metrics.mean("answer F1", variant))
    assert found == pytest.approx(eager - variant, abs=1e-10)


def test_for_a_metric_where_lower_is_better_a_rise_is_the_loss() -> None:
    counts = np.ones(500)
    eager = metrics.perplexity("pseudo-perplexity", np.full(500, 1.0), counts)
    worse = metrics.perplexity("pseudo-perplexity", np.full(500, 1.1), counts)
    low, high = loss_interval(eager, worse, critical=ONE_SIDED)
    assert low < np.exp(1.1) - np.exp(1.0) < high
    assert low > 0


def test_one_example_can_weigh_more_than_a_whole_answer() -> None:
    assert float(Sums.of(np.asarray([0.0, 3.0, 0.5])).heaviest) == 3.0
    assert float(Sums.of(np.asarray([0.0, 0.5])).heaviest) == 1.0


def words(examples: int, loss: float, random: np.random.Generator) -> tuple[Score, Score]:
    """Micro F1 over sentences of 5 to 40 words, of which the variant gets a share of `loss` wrong and some right."""
    actual = random.integers(5, 41, examples)
    right = random.binomial(actual, 0.8)
    variant = right - random.binomial(right, loss) + random.binomial(actual - right, 0.05)
    pair = [
        metrics.micro_f1("token F1", side.astype(float), actual * 1.0, actual * 1.0)
        for side in (right, variant)
    ]
    return pair[0], pair[1]


def test_a_ratio_of_sums_has_the_interval_of_a_bootstrap_where_many_examples_differ() -> None:
    random = np.random.default_rng(7)
    eager, variant = words(EXAMPLES, 0.03, random)
    drawn = random.multinomial(EXAMPLES, np.full(EXAMPLES, 1 / EXAMPLES), size=4000).astype(np.float64)
    losses = eager.of_sums(drawn @ eager.columns) - variant.of_sums(drawn @ variant.columns)
    resampled = np.quantile(losses, (0.05, 0.95))
    found = loss_interval(eager, variant, critical=ONE_SIDED)
    # Beyond the bootstrap's by the made-up sentence, and by less than another one for its part in the spread
    assert resampled[0] - 2 / EXAMPLES <= found[0] <= resampled[0]
    assert resampled[1] <= found[1] <= resampled[1] + 2 / EXAMPLES


def test_the_verdict_says_at_which_look_it_was_reached() -> None:
    verdict = judge_loss(*answers(0, 0), single_look(EXAMPLES, 0.95), Gates())
    assert verdict
    assert verdict.kind == LOSS
    assert verdict.interval is not None
    assert verdict.observed == verdict.interval[1]
    assert "after 1,500 of 1,500 examples, critical value 1.645" in verdict.reason
