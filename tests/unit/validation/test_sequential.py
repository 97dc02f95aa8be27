"""When accuracy is judged and how clear it must be: against published tables, and on 10,000 made-up runs a case."""

import numpy as np
import pytest
from scipy import stats

from validation.noninferiority import Sums, difference_limits, unseen
from validation.sequential import Look, critical_values, passing_chances, plan, single_look, spent

RUNS = 10_000
# A share of 5% of 10,000 runs lies within three standard errors of 0.22 points
MOST = 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


def looks(examples: int, margin: float = 0.01, count: int = 3) -> tuple[Look, ...]:
    return plan(examples, count=count, margin=margin, confidence=0.95)


def passed(examples: int, margin: float, lost: float, gained: float) -> list[float]:
    """Of runs whose answers turn wrong and right with these chances, the share that has passed by each look."""
    random = np.random.default_rng(11)
    counts, done, before = np.zeros((RUNS, 2)), np.zeros(RUNS, dtype=bool), 0
    shares = []
    for look in looks(examples, margin):
        drawn = random.multinomial(look.examples - before, [lost, gained, 1 - lost - gained], size=RUNS)
        counts, before = counts + drawn[:, :2], look.examples
        sums = Sums.of_counts(counts[:, 0]), Sums.of_counts(counts[:, 1])
        done |= difference_limits(*sums, look.critical)[1] / look.examples <= margin
        shares.append(float(done.mean()))
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
def test_nor_do_more_where_losses_weigh_unequally(events: dict[float, float]) -> None:
    random = np.random.default_rng(12)
    weights, chances = np.asarray(list(events)), np.asarray(list(events.values()))
    lost, gained = np.maximum(weights, 0), np.maximum(-weights, 0)
    margin = float(weights @ chances)
    assert margin == pytest.approx(0.01)
    counts, done, before = np.zeros((RUNS, len(events))), np.zeros(RUNS, dtype=bool), 0
    for look in looks(1500, margin):
        drawn = random.multinomial(look.examples - before, [*chances, 1 - chances.sum()], size=RUNS)
        counts, before = counts + drawn[:, :-1], look.examples
        sums = [
            Sums(total=counts @ side, squares=counts @ side**2, heaviest=np.ones(RUNS))
            for side in (lost, gained)
        ]
        done |= difference_limits(sums[0], sums[1], look.critical)[1] / look.examples <= margin
    assert done.mean() <= MOST


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


@pytest.mark.parametrize(
    ("count", "pocock", "obrien_fleming"),
    # Jennison and Turnbull 2000, tables 2.1 and 2.3, two-sided 5%; the other bound adds nothing to these digits
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040)],
)
def test_published_critical_values_spend_what_they_should(
    count: int, pocock: float, obrien_fleming: float
) -> None:
    shares = [number / count for number in range(1, count + 1)]
    # Half a unit of the constants' last digit moves the chance by 3e-5 at most
    assert sum(passing_chances(shares, [pocock] * count)) == pytest.approx(0.025, abs=5e-5)
    rising = [obrien_fleming * (count / number) ** 0.5 for number in range(1, count + 1)]
    assert sum(passing_chances(shares, rising)) == pytest.approx(0.025, abs=5e-5)


def test_critical_values_undo_the_chances() -> None:
    shares, pocock = (1 / 3, 2 / 3, 1.0), (2.289,) * 3
    spending = tuple(float(chance) for chance in np.cumsum(passing_chances(shares, pocock)))
    assert critical_values(shares, spending) == pytest.approx(pocock, abs=1e-9)


def test_all_looks_together_have_the_chance_of_one_by_another_librarys_integral() -> None:
    planned = looks(1500)
    shares = np.asarray([look.examples / look.of for look in planned])
    covariance = np.sqrt(np.minimum.outer(shares, shares) / np.maximum.outer(shares, shares))
    stays = stats.multivariate_normal.cdf([look.critical for look in planned], cov=covariance)
    assert 1 - float(stays) == pytest.approx(0.05, abs=1e-4)  # scipy's own integral is that exact


def test_examples_are_looked_at_in_three_equal_parts() -> None:
    planned = looks(1500)
    assert [look.examples for look in planned] == [500, 1000, 1500]
    assert {look.of for look in planned} == {1500}
    assert [look.critical for look in planned] == pytest.approx([2.341, 2.019, 1.792], abs=5e-4)
    assert looks(1500, count=1) == (single_look(1500, 0.95),)


def test_a_look_that_nothing_could_pass_is_left_out_and_its_chance_is_kept() -> None:
    assert [look.examples for look in looks(600)] == [400, 600]
    first, last = looks(600)
    assert first.critical == pytest.approx(float(stats.norm.isf(0.05 * (2 / 3) ** 1.5)))
    assert last.critical < looks(1500)[-1].critical
    for examples in (450, 600, 1392, 1395, 1500, 3000):
        for look in looks(examples):
            assert unseen(look.examples, look.critical) <= 0.01
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
    spending = spent(np.asarray([0.25, 0.5, 1.0]), 0.05)
    assert spending == pytest.approx((0.05 / 8, 0.05 * 0.5**1.5, 0.05))
