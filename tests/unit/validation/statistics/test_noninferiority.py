"""The interval of the loss: against published limits, exact probabilities, made-up samples and a bootstrap."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from validation.statistics import metrics
from validation.statistics.metrics import Array, Score
from validation.statistics.noninferiority import (
    EventSum,
    counting_examples,
    difference_limits,
    loss_interval,
    pseudo_values,
    smallest_upper_end,
    square_and_add,
)

EXAMPLES = 1500
ONE_SIDED = float(stats.norm.ppf(0.95))
TWO_SIDED = float(stats.norm.ppf(0.975))


def answers(lost: int, gained: int, examples: int = EXAMPLES) -> tuple[Score, Score]:
    """Accuracy of eager and of a variant that is wrong on `lost` more examples and right on `gained` others."""
    eager = np.zeros(examples)
    eager[: examples * 3 // 4] = 1
    variant = eager.copy()
    variant[:lost] = 0
    variant[examples - gained :] = 1
    return metrics.mean("accuracy", eager), metrics.mean("accuracy", variant)


def of_counts(lost: Array, gained: Array, critical: float = ONE_SIDED) -> tuple[Array, Array]:
    return difference_limits(EventSum.of_counts(lost), EventSum.of_counts(gained), critical)


def limits(lost: float, gained: float, critical: float = ONE_SIDED) -> tuple[float, float]:
    low, high = of_counts(np.asarray(float(lost)), np.asarray(float(gained)), critical)
    return float(low), float(high)


@pytest.mark.parametrize(
    ("events", "lower", "upper"),
    # Garwood 1936, two-sided 95%, as in every table of limits for a Poisson count
    [(0, 0.0, 3.689), (1, 0.025, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390), (50, 37.111, 65.919)],
)
def test_limits_of_counts_are_garwoods(events: int, lower: float, upper: float) -> None:
    counts = EventSum.of_counts(np.asarray(float(events)))
    assert float(counts.lower(0.025)) == pytest.approx(lower, abs=5e-4)  # the table has three decimals
    assert float(counts.upper(0.025)) == pytest.approx(upper, abs=5e-4)


@pytest.mark.parametrize("tail", [0.001, 0.025, 0.05, 0.2])
def test_a_count_is_as_far_in_the_tail_of_its_limits_as_they_say(tail: float) -> None:
    # Garwood's definition, by another function of scipy: the Poisson distribution itself
    counts = np.arange(0.0, 200.0)
    events = EventSum.of_counts(counts)
    assert stats.poisson.cdf(counts, events.upper(tail)) == pytest.approx(tail, rel=1e-9)
    assert stats.poisson.sf(counts[1:] - 1, events.lower(tail)[1:]) == pytest.approx(tail, rel=1e-9)
    assert events.lower(tail)[0] == 0


def test_limits_of_weighted_events_are_fays_and_feuers() -> None:
    # Down's syndrome in Michigan, 1950-1964, birth order 5 and more, by the mother's age (Fleiss 1981, table 14.4),
    # standardized to all births: Fay and Feuer's own example (1997), as R's package dsrTest prints it
    cases = np.asarray([0.0, 8.0, 63.0, 112.0, 262.0, 295.0])
    births = np.asarray([327, 30666, 123419, 149919, 104088, 34392])
    standard = np.asarray([319933, 931318, 786511, 488235, 237863, 61313])
    weights = 1e5 * standard / standard.sum() / births
    rate = EventSum(total=(weights * cases).sum(), squares=(weights**2 * cases).sum(), heaviest=weights.max())
    # Half a unit of the last digit that is printed
    assert float(rate.total) == pytest.approx(75.52901, abs=5e-6)
    assert float(rate.lower(0.025)) == pytest.approx(67.70212, abs=5e-6)
    assert float(rate.upper(0.025)) == pytest.approx(188.30017, abs=5e-6)


@pytest.mark.parametrize("scale", [0.01, 7.0])
def test_limits_scale_with_the_weights(scale: float) -> None:
    weights = np.asarray([1.0, 0.5, 0.25, 2.0])
    unit = EventSum(total=weights.sum(), squares=(weights**2).sum(), heaviest=np.asarray(2.0))
    scaled = EventSum(
        total=scale * unit.total, squares=scale**2 * unit.squares, heaviest=scale * unit.heaviest
    )
    assert float(scaled.lower(0.05)) == pytest.approx(scale * float(unit.lower(0.05)))
    assert float(scaled.upper(0.05)) == pytest.approx(scale * float(unit.upper(0.05)))


def test_many_small_events_have_a_narrower_interval_than_few_large_ones_of_the_same_sum() -> None:
    large, small = EventSum.of(np.full(4, 1.0)), EventSum.of(np.full(16, 0.25))
    assert float(large.total) == float(small.total)
    assert float(large.lower(0.05)) < float(small.lower(0.05)) < 4
    assert 4 < float(small.upper(0.05)) < float(large.upper(0.05))


def wilson(successes: int, trials: int) -> tuple[Array, Array]:
    """Wilson's score limits of a proportion, two-sided 95%."""
    share, z = successes / trials, TWO_SIDED
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return (
        np.asarray((middle - half) / (1 + z * z / trials)),
        np.asarray((middle + half) / (1 + z * z / trials)),
    )


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17, 873-890), table II, method 10: all eight examples
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_limits_of_a_difference_are_newcombes(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    shares = [np.asarray(successes / trials) for successes, trials in (first, second)]
    lower, upper = square_and_add(shares[0], wilson(*first), shares[1], wilson(*second))
    assert float(lower) == pytest.approx(low, abs=5e-5)  # the table has four decimals
    assert float(upper) == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (3, 3), (12, 5), (90, 75)])
def test_exchanged_models_have_the_mirrored_interval(lost: int, gained: int) -> None:
    low, high = limits(lost, gained)
    assert limits(gained, lost) == pytest.approx((-high, -low), abs=1e-12)


def test_the_limits_rise_with_the_losses_and_fall_with_the_gains() -> None:
    counts = np.arange(0.0, 100.0)
    for fixed in (0.0, 1.0, 20.0):
        same = np.full_like(counts, fixed)
        assert all((np.diff(ends) > 0).all() for ends in of_counts(counts, same))
        assert all((np.diff(ends) < 0).all() for ends in of_counts(same, counts))


def test_where_only_losses_occurred_the_upper_end_is_garwoods() -> None:
    for lost in (1, 9, 40):
        _, high = limits(lost, 0)
        assert high == pytest.approx(stats.gamma.isf(0.05, lost + 1))


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (9, 0), (0, 7), (12, 5), (90, 75)])
def test_right_and_wrong_answers_are_counts(lost: int, gained: int) -> None:
    interval = np.asarray(loss_interval(*answers(lost, gained), critical=ONE_SIDED))
    # Pseudo-values are differences of numbers N times as large: they keep twelve digits of sixteen
    assert interval == pytest.approx(np.asarray(limits(lost, gained)) / EXAMPLES, abs=1e-9)


def test_no_difference_leaves_room_for_a_loss_that_the_examples_cannot_show() -> None:
    low, high = loss_interval(*answers(0, 0), critical=ONE_SIDED)
    assert high == pytest.approx(-np.log(0.05) / EXAMPLES)
    assert low == -high
    assert smallest_upper_end(EXAMPLES, ONE_SIDED) == high


@pytest.mark.parametrize("examples", [2, 3, 10, 1000])
def test_a_variant_that_is_always_wrong_has_lost_everything(examples: int) -> None:
    right, wrong = metrics.mean("accuracy", np.ones(examples)), metrics.mean("accuracy", np.zeros(examples))
    low, high = loss_interval(right, wrong, critical=ONE_SIDED)
    assert low < 1 < high
    # Garwood's lower limit of the count; the gains, of which there is none, widen it by at most their upper limit
    assert low >= (stats.gamma.ppf(0.05, examples) + np.log(0.05)) / examples - 1e-12
    assert loss_interval(wrong, right, critical=ONE_SIDED) == pytest.approx((-high, -low))


@pytest.mark.parametrize("margin", [0.005, 0.01, 0.05])
def test_losses_alone_on_the_margin_pass_in_at_most_five_of_a_hundred_runs(margin: float) -> None:
    # No simulation: the probability of the largest count that passes is a binomial distribution's.
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
    independent = loss_interval(first, second, critical=ONE_SIDED)
    alike = loss_interval(*answers(8, 7), critical=ONE_SIDED)
    assert alike[1] - alike[0] < (independent[1] - independent[0]) / 3


def test_pseudo_values_of_a_mean_are_the_examples_own_losses() -> None:
    random = np.random.default_rng(6)
    eager, variant = random.random((2, 400))
    losses = pseudo_values(metrics.mean("answer F1", eager), metrics.mean("answer F1", variant))
    assert losses == pytest.approx(eager - variant, abs=1e-10)


def test_pseudo_values_of_a_ratio_are_what_leaving_examples_out_gives() -> None:
    # F1 of eager is 2*4/10, without each example in turn 2*2/6, 2*3/7 and 2*3/7; the variant's is 2*3/10, then 2*2/6,
    # 2*1/7 and 2*3/7. A pseudo-value is 3 times the whole loss less 2 times the loss without the example.
    eager = metrics.micro_f1("F1", np.asarray([2.0, 1, 1]), np.asarray([2.0, 2, 1]), np.asarray([2.0, 1, 2]))
    variant = metrics.micro_f1(
        "F1", np.asarray([1.0, 2, 0]), np.asarray([2.0, 2, 1]), np.asarray([2.0, 1, 2])
    )
    whole = 8 / 10 - 6 / 10
    without = (4 / 6 - 4 / 6, 6 / 7 - 2 / 7, 6 / 7 - 6 / 7)
    assert pseudo_values(eager, variant) == pytest.approx([3 * whole - 2 * loss for loss in without])


def test_for_a_metric_where_lower_is_better_a_rise_is_the_loss() -> None:
    counts = np.ones(500)
    eager = metrics.perplexity("pseudo-perplexity", np.full(500, 1.0), counts)
    worse = metrics.perplexity("pseudo-perplexity", np.full(500, 1.1), counts)
    low, high = loss_interval(eager, worse, critical=ONE_SIDED)
    assert low < np.exp(1.1) - np.exp(1.0) < high
    assert low > 0


def test_one_example_can_weigh_more_than_a_whole_answer() -> None:
    assert float(EventSum.of(np.asarray([0.0, 3.0, 0.5])).heaviest) == 3.0
    assert float(EventSum.of(np.asarray([0.0, 0.5])).heaviest) == 1.0
    assert float(EventSum.of(np.zeros(0)).heaviest) == 1.0


def sentences(examples: int, loss: float, random: np.random.Generator) -> tuple[Score, Score]:
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
    eager, variant = sentences(EXAMPLES, 0.03, random)
    drawn = random.multinomial(EXAMPLES, np.full(EXAMPLES, 1 / EXAMPLES), size=4000).astype(np.float64)
    losses = eager.of_sums(drawn @ eager.columns) - variant.of_sums(drawn @ variant.columns)
    resampled = np.quantile(losses, (0.05, 0.95))
    interval = loss_interval(eager, variant, critical=ONE_SIDED)
    # Wider than the bootstrap's by the hypothetical sentence, and by less than another one for its part in the spread
    assert resampled[0] - 2 / EXAMPLES <= interval[0] <= resampled[0]
    assert resampled[1] <= interval[1] <= resampled[1] + 2 / EXAMPLES


def entities(examples: int, counts: Array, loss: float, random: np.random.Generator) -> tuple[Score, Score]:
    """Entity F1 over `examples` sentences, the first of which have `counts` entities; the variant loses some."""
    actual = np.zeros(examples)
    actual[: len(counts)] = counts
    kept = random.binomial(actual.astype(int), 1 - loss).astype(float)
    return metrics.micro_f1("F1", actual, actual, actual), metrics.micro_f1("F1", kept, kept, actual)


def test_examples_that_count_for_a_metric() -> None:
    random = np.random.default_rng(8)
    assert counting_examples(*answers(3, 2)) == EXAMPLES
    assert counting_examples(*entities(400, np.asarray([1.0, 9, 1]), 0.5, random)) == 3
    assert counting_examples(*entities(400, np.zeros(0), 0.5, random)) == 1
    extra = metrics.micro_f1("F1", np.zeros(4), np.asarray([0.0, 1, 0, 1]), np.zeros(4))
    none = metrics.micro_f1("F1", np.zeros(4), np.zeros(4), np.zeros(4))
    assert counting_examples(none, extra) == 2
    some = metrics.mean("retrieval accuracy", np.ones(290))
    assert counting_examples(some, some) == 290


@pytest.mark.parametrize(
    ("examples", "with_entities", "most"),
    [(400, 7, 1), (400, 20, 1), (400, 100, 1), (1500, 600, 1), (1500, 600, 8)],
)
def test_a_loss_of_the_margin_passes_rarely_however_few_examples_count(
    examples: int, with_entities: int, most: int
) -> None:
    random = np.random.default_rng(9)
    # A share q of lost entities is a loss of F1 of q / (2 - q): here 1 point
    lost, runs = 2 * 0.01 / 1.01, 400
    passed = 0
    for _ in range(runs):
        counts = random.integers(1, most + 1, with_entities).astype(float)
        pair = entities(examples, counts, lost, random)
        passed += loss_interval(*pair, critical=ONE_SIDED)[1] <= 0.01
    assert passed <= 0.05 * runs


def test_without_a_difference_the_end_is_that_of_the_examples_that_count() -> None:
    same = metrics.micro_f1("F1", *[np.repeat([1.0, 0.0], (300, 1200))] * 3)
    assert loss_interval(same, same, critical=ONE_SIDED)[1] == pytest.approx(
        smallest_upper_end(300, ONE_SIDED)
    )
