"""When accuracy is judged and how clear it must be: against published tables, and on 10,000 made-up runs each."""

import numpy as np
import pytest
from scipy import stats

from validation.statistics.noninferiority import EventSum, difference_limits, smallest_upper_end
from validation.statistics.sequential import (
    Look,
    critical_values,
    passing_probabilities,
    plan_looks,
    single_look,
    spending,
)

RUNS = 10_000
# A share of 5% of 10,000 runs lies within three standard errors of 0.22 points
MOST = 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


def looks(examples: int, margin: float = 0.01, count: int = 3) -> tuple[Look, ...]:
    return plan_looks(examples, count=count, margin=margin, confidence=0.95)


def passed(examples: int, margin: float, lost: float, gained: float) -> list[float]:
    """The share that has passed by each look, of runs whose answers turn wrong and right with these probabilities."""
    random = np.random.default_rng(11)
    counts, passing, before = np.zeros((RUNS, 2)), np.zeros(RUNS, dtype=bool), 0
    shares = []
    for look in looks(examples, margin):
        drawn = random.multinomial(look.examples - before, [lost, gained, 1 - lost - gained], size=RUNS)
        counts, before = counts + drawn[:, :2], look.examples
        sums = EventSum.of_counts(counts[:, 0]), EventSum.of_counts(counts[:, 1])
        passing |= difference_limits(*sums, look.critical)[1] / look.examples <= margin
        shares.append(float(passing.mean()))
    return shares


@pytest.mark.parametrize(
    ("examples", "margin", "lost", "gained"),
    [
        (1500, 0.01, 0.01, 0.0),
        (1500, 0.01, 0.015, 0.005),
        (1500, 0.01, 0.06, 0.05),
        (1500, 0.01, 0.12, 0.11),
        (300, 0.05, 0.05, 0.0),
        (300, 0.05, 0.15, 0.10),
        (300, 0.05, 0.3, 0.25),
        (300, 0.01, 0.01, 0.0),
        (600, 0.01, 0.012, 0.002),
        (3000, 0.01, 0.03, 0.02),
        (1000, 0.02, 0.022, 0.002),
    ],
)
def test_at_most_five_of_a_hundred_runs_pass_whose_true_loss_is_the_margin(
    examples: int, margin: float, lost: float, gained: float
) -> None:
    assert passed(examples, margin, lost, gained)[-1] <= MOST


@pytest.mark.parametrize(
    "events",
    [
        {1.0: 0.006, 0.05: 0.08},  # whole answers are lost now and then, single words often
        {1.0: 0.008, 0.02: 0.1},
        {1.0: 0.005, 0.05: 0.2, -0.05: 0.1},
        {1.0: 0.012, 0.5: 0.01, -1.0: 0.005, -0.5: 0.004},
        {1.0: 0.0125, -0.05: 0.05},
    ],
)
def test_no_more_pass_where_losses_weigh_unequally(events: dict[float, float]) -> None:
    random = np.random.default_rng(12)
    weights, rates = np.asarray(list(events)), np.asarray(list(events.values()))
    lost, gained = np.maximum(weights, 0), np.maximum(-weights, 0)
    margin = float(weights @ rates)
    assert margin == pytest.approx(0.01)
    counts, passing, before = np.zeros((RUNS, len(events))), np.zeros(RUNS, dtype=bool), 0
    for look in looks(1500, margin):
        drawn = random.multinomial(look.examples - before, [*rates, 1 - rates.sum()], size=RUNS)
        counts, before = counts + drawn[:, :-1], look.examples
        sums = [
            EventSum(total=counts @ side, squares=counts @ side**2, heaviest=np.ones(RUNS))
            for side in (lost, gained)
        ]
        passing |= difference_limits(sums[0], sums[1], look.critical)[1] / look.examples <= margin
    assert passing.mean() <= MOST


def test_without_any_difference_every_run_passes_at_the_first_look() -> None:
    assert passed(1500, 0.01, 0.0, 0.0)[0] == 1.0


@pytest.mark.parametrize(
    ("examples", "differing", "first", "second", "last"),
    # No test of 500 examples could pass more than half of the second row's: the loss's standard error is 0.45 points
    [(1500, 0.005, 0.38, 0.90, 0.99), (1500, 0.01, 0.23, 0.73, 0.94), (6000, 0.01, 0.80, 0.99, 0.999)],
)
def test_without_a_loss_most_runs_pass_early(
    examples: int, differing: float, first: float, second: float, last: float
) -> None:
    shares = passed(examples, 0.01, differing / 2, differing / 2)
    assert all(share >= least for share, least in zip(shares, (first, second, last), strict=True)), shares


def test_a_loss_of_three_points_never_passes() -> None:
    assert passed(1500, 0.01, 0.04, 0.01)[-1] == 0.0


def equal(count: int) -> list[float]:
    """The shares of equally spaced looks."""
    return [number / count for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("alpha", "count", "pocock", "obrien_fleming"),
    # Jennison and Turnbull 2000, tables 2.1 and 2.3, two-sided; the other bound adds nothing to these digits
    [
        (0.01, 2, 2.772, 2.580),
        (0.01, 3, 2.873, 2.595),
        (0.01, 4, 2.939, 2.609),
        (0.01, 5, 2.986, 2.621),
        (0.05, 2, 2.178, 1.977),
        (0.05, 3, 2.289, 2.004),
        (0.05, 4, 2.361, 2.024),
        (0.05, 5, 2.413, 2.040),
        (0.05, 10, 2.555, 2.087),
        (0.10, 2, 1.875, 1.678),
        (0.10, 3, 1.992, 1.710),
        (0.10, 4, 2.067, 1.733),
        (0.10, 5, 2.122, 1.751),
    ],
)
def test_published_critical_values_spend_what_they_should(
    alpha: float, count: int, pocock: float, obrien_fleming: float
) -> None:
    shares = equal(count)
    # Half a unit of the constants' last digit moves the probability by 5e-5 at most
    assert sum(passing_probabilities(shares, [pocock] * count)) == pytest.approx(alpha / 2, abs=5e-5)
    rising = [obrien_fleming * (count / number) ** 0.5 for number in range(1, count + 1)]
    assert sum(passing_probabilities(shares, rising)) == pytest.approx(alpha / 2, abs=5e-5)


@pytest.mark.parametrize(
    ("delta", "constants"),
    # Jennison and Turnbull 2000, table 2.9: the family of Wang and Tsiatis (1987), 2 to 5 looks, two-sided 5%
    [
        (0.1, (1.994, 2.026, 2.050, 2.068)),
        (0.25, (2.038, 2.083, 2.113, 2.136)),
        (0.4, (2.111, 2.186, 2.233, 2.267)),
    ],
)
def test_published_shapes_between_them_spend_what_they_should(
    delta: float, constants: tuple[float, ...]
) -> None:
    for count, constant in enumerate(constants, start=2):
        criticals = [constant * share ** (delta - 0.5) for share in equal(count)]
        assert sum(passing_probabilities(equal(count), criticals)) == pytest.approx(0.025, abs=5e-5)


@pytest.mark.parametrize(
    ("count", "obrien_fleming", "pocock"),
    # The spending functions of Lan and DeMets, one-sided 2.5%; these bounds are those of the program by Reboussin,
    # DeMets, Kim and Lan (2000)
    [
        (2, (2.9626, 1.9686), (2.1570, 2.2010)),
        (3, (3.7103, 2.5114, 1.9930), (2.2794, 2.2949, 2.2959)),
        (4, (4.3326, 2.9631, 2.3590, 2.0141), (2.3683, 2.3675, 2.3582, 2.3500)),
        (5, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310), (2.4380, 2.4268, 2.4101, 2.3966, 2.3859)),
    ],
)
def test_critical_values_of_published_spending_functions_are_the_published_ones(
    count: int, obrien_fleming: tuple[float, ...], pocock: tuple[float, ...]
) -> None:
    shares = np.asarray(equal(count))
    slow = 2 * stats.norm.sf(stats.norm.isf(0.0125) / np.sqrt(shares))
    fast = 0.025 * np.log(1 + (np.e - 1) * shares)
    for spent, published in ((slow, obrien_fleming), (fast, pocock)):
        # Four decimals; that program's own integral is exact to about one unit of the last
        assert critical_values(tuple(shares), tuple(spent)) == pytest.approx(published, abs=1.5e-4)


def test_critical_values_undo_the_probabilities() -> None:
    shares, pocock = (1 / 3, 2 / 3, 1.0), (2.289,) * 3
    spent = tuple(float(probability) for probability in np.cumsum(passing_probabilities(shares, pocock)))
    assert critical_values(shares, spent) == pytest.approx(pocock, abs=1e-9)


def test_one_look_spends_everything_at_once() -> None:
    assert critical_values((1.0,), (0.05,)) == pytest.approx([1.6449], abs=5e-5)
    assert passing_probabilities([1.0], [1.6449]) == pytest.approx([0.05], abs=5e-5)


@pytest.mark.parametrize("shares", [(0.5, 1.0), (1 / 3, 2 / 3, 1.0), (0.1, 0.15, 0.9, 1.0), tuple(equal(10))])
def test_all_looks_together_have_the_probability_of_one_by_another_librarys_integral(
    shares: tuple[float, ...],
) -> None:
    criticals = critical_values(shares, spending(np.asarray(shares), 0.05))
    covariance = np.sqrt(np.minimum.outer(shares, shares) / np.maximum.outer(shares, shares))
    stays = stats.multivariate_normal.cdf(criticals, cov=covariance, maxpts=200_000)
    assert 1 - float(stays) == pytest.approx(
        0.05, abs=5e-4
    )  # scipy's integral over ten dimensions is that exact


def test_a_random_walk_passes_as_often_as_the_probabilities_say() -> None:
    shares = np.asarray([0.25, 0.5, 1.0])
    criticals = critical_values(tuple(shares), spending(shares, 0.05))
    steps = np.random.default_rng(14).normal(size=(200_000, 3)) * np.sqrt(np.diff(shares, prepend=0))
    statistics = steps.cumsum(axis=1) / np.sqrt(shares)
    passing = (statistics >= criticals).cumsum(axis=1) > 0
    # Three standard errors of a share of 5% of 200,000
    assert passing.mean(axis=0) == pytest.approx(spending(shares, 0.05), abs=1.5e-3)


def test_a_look_that_spends_more_has_a_lower_critical_value() -> None:
    shares = (0.5, 1.0)
    firsts = [critical_values(shares, (spent, 0.05))[0] for spent in (0.001, 0.01, 0.02, 0.04)]
    lasts = [critical_values(shares, (spent, 0.05))[1] for spent in (0.001, 0.01, 0.02, 0.04)]
    assert firsts == sorted(firsts, reverse=True)
    assert lasts == sorted(lasts)


def test_examples_are_looked_at_in_three_equal_parts() -> None:
    planned = looks(1500)
    assert [look.examples for look in planned] == [500, 1000, 1500]
    assert {look.of for look in planned} == {1500}
    assert [look.critical for look in planned] == pytest.approx([2.341, 2.019, 1.792], abs=5e-4)
    assert looks(1500, count=1) == (single_look(1500, 0.95),)


def test_a_look_that_nothing_could_pass_is_left_out_and_spends_nothing() -> None:
    assert [look.examples for look in looks(600)] == [400, 600]
    first, last = looks(600)
    assert first.critical == pytest.approx(float(stats.norm.isf(0.05 * (2 / 3) ** 1.5)))
    assert last.critical < looks(1500)[-1].critical
    for examples in (450, 600, 1392, 1395, 1500, 3000):
        for look in looks(examples):
            assert smallest_upper_end(look.examples, look.critical) <= 0.01
    # Too few for any look: they are judged once, and fail
    assert looks(200) == (single_look(200, 0.95),)


@pytest.mark.parametrize("examples", [2, 3, 40, 299, 300, 301])
@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("margin", [0.01, 0.99])
def test_every_plan_ends_with_all_examples(examples: int, count: int, margin: float) -> None:
    planned = looks(examples, margin, count)
    assert planned[-1].examples == examples
    ends = [look.examples for look in planned]
    assert ends == sorted(set(ends))
    assert len(ends) <= count
    assert all(np.isfinite(look.critical) for look in planned)


def test_more_is_spent_the_more_examples_are_answered() -> None:
    assert spending(np.asarray([0.25, 0.5, 1.0]), 0.05) == pytest.approx((0.05 / 8, 0.05 * 0.5**1.5, 0.05))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_all_looks_together_spend_the_error_probability_and_no_more(alpha: float) -> None:
    shares = np.linspace(0.01, 1, 100)
    spent = spending(shares, alpha)
    assert spent[-1] == pytest.approx(alpha)
    assert (np.diff(spent) > 0).all()
    assert spent[0] < alpha / 100, "less than its share is spent early"
