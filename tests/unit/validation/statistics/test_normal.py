"""The normal distribution of the statistics, against scipy.stats."""

import numpy as np
import pytest
from scipy import stats

from validation.statistics import normal

VALUES = np.linspace(-8, 8, 65)


def test_tails_and_densities_are_those_of_scipy() -> None:
    # Both evaluate the same functions; the density rounds once more
    np.testing.assert_array_equal(normal.upper_tails(VALUES), stats.norm.sf(VALUES))
    np.testing.assert_allclose(normal.densities(VALUES), stats.norm.pdf(VALUES), rtol=1e-15)
    assert [normal.upper_tail(value) for value in VALUES] == stats.norm.sf(VALUES).tolist()


@pytest.mark.parametrize("value", [-3.0, 0.0, 8.0, 100.0])
def test_the_logarithm_of_a_tail_is_exact_where_the_tail_is_zero(value: float) -> None:
    assert normal.log_upper_tail(value) == pytest.approx(stats.norm.logsf(value), rel=1e-14)


@pytest.mark.parametrize("probability", [1e-12, 0.05, 0.5, 0.95])
def test_a_quantile_is_not_exceeded_with_its_probability(probability: float) -> None:
    assert normal.quantile(probability) == stats.norm.ppf(probability)
