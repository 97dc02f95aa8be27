"""Metrics on a few examples that are worked out by hand; tests/oracle compares them with other libraries."""

import numpy as np
import pytest

from validation.statistics import metrics
from validation.statistics.metrics import Score


def on(score: Score, *examples: int) -> float:
    """The metric on some of the examples; one that is named twice counts twice."""
    return float(score.of_sums(score.columns[list(examples)].sum(axis=0)))


def test_a_mean_is_that_of_the_examples() -> None:
    score = metrics.mean("exact match", np.asarray([1.0, 0, 0, 1]))
    assert score.value == 0.5
    assert on(score, 0, 3, 3) == 1.0
    assert on(score, 1, 1, 3) == pytest.approx(1 / 3)


def test_a_ratio_weighs_every_token_alike_and_not_every_example() -> None:
    # 9 of 10 tokens are right in one text, and 0 of 1 in the other: 9/11, where the mean over texts would be 0.45
    score = metrics.ratio("token accuracy", np.asarray([9.0, 0]), np.asarray([10.0, 1]))
    assert score.value == pytest.approx(9 / 11)
    assert on(score, 1) == 0


def test_a_ratio_over_nothing_is_zero() -> None:
    assert metrics.ratio("accuracy", np.zeros(2), np.zeros(2)).value == 0


def test_micro_f1_is_of_the_summed_counts() -> None:
    # 3 entities are right, 5 are predicted and 4 are actual: precision 3/5, recall 3/4, F1 2/3
    score = metrics.micro_f1("F1", np.asarray([2.0, 1]), np.asarray([2.0, 3]), np.asarray([3.0, 1]))
    assert score.value == pytest.approx(2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4))
    assert score.value == pytest.approx(2 / 3)
    assert on(score, 0) == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("correct", "predicted", "actual", "f1"), [(0, 0, 0, 0), (0, 4, 0, 0), (0, 0, 4, 0), (4, 4, 4, 1)]
)
def test_micro_f1_at_its_ends(correct: int, predicted: int, actual: int, f1: float) -> None:
    counts = (np.asarray([float(count)]) for count in (correct, predicted, actual))
    assert metrics.micro_f1("F1", *counts).value == f1


def test_macro_f1_weighs_every_label_alike() -> None:
    # Label 0: 3 of 4 predicted and of 3 actual, F1 6/7; label 1: none of 1 and 1, F1 0; label 2: 1 of 1 and 2, F1 2/3
    predicted = np.asarray([0, 0, 0, 0, 1, 2])
    actual = np.asarray([0, 0, 0, 1, 2, 2])
    score = metrics.macro_f1("macro F1", predicted, actual, 3)
    assert score.value == pytest.approx((6 / 7 + 0 + 2 / 3) / 3)


def test_macro_f1_leaves_out_labels_that_do_not_occur() -> None:
    predicted, actual = np.asarray([0, 1, 1]), np.asarray([0, 1, 0])
    few, many = (metrics.macro_f1("macro F1", predicted, actual, labels) for labels in (2, 9))
    assert few.value == many.value == pytest.approx(2 / 3)
    # Of the first example alone, only label 0 is left
    assert on(many, 0) == 1.0


def test_the_perplexity_of_a_model_that_is_sure_of_wrong_tokens_is_finite() -> None:
    score = metrics.perplexity("pseudo-perplexity", np.asarray([5000.0, 3.0]), np.ones(2))
    assert score.value == pytest.approx(metrics.LARGEST_PERPLEXITY)


def test_perplexity_is_two_where_every_token_has_an_even_chance() -> None:
    score = metrics.perplexity("pseudo-perplexity", np.log([2.0, 4.0, 8.0]), np.asarray([1.0, 2, 3]))
    assert score.value == pytest.approx(2.0)
    assert not score.higher_is_better


def test_r2_is_the_share_of_the_variance_that_is_explained() -> None:
    # Squared errors 1 + 0 + 1 + 4, of a sum of squares of 20 around the mean 4
    score = metrics.r2("R2", np.asarray([2.0, 3, 4, 9]), np.asarray([1.0, 3, 5, 7]))
    assert score.value == pytest.approx(1 - 6 / 20)


def test_r2_is_zero_for_the_mean_and_negative_for_worse() -> None:
    actual = np.asarray([1.0, 3, 5, 7])
    assert metrics.r2("R2", np.full(4, 4.0), actual).value == pytest.approx(0)
    assert metrics.r2("R2", actual[::-1].copy(), actual).value == pytest.approx(-3)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_r2_does_not_lose_digits_far_from_zero(offset: float) -> None:
    actual = np.asarray([1.0, 3, 5, 7]) + offset
    assert metrics.r2("R2", actual + np.asarray([1.0, 0, -1, 2]), actual).value == pytest.approx(1 - 6 / 20)


@pytest.mark.parametrize(
    ("predicted", "r"),
    [([2.0, 4, 6], 1.0), ([3.0, 2, 1], -1.0), ([1.0, 3, 2], 0.5), ([5.0, 5, 5], 0.0)],
)
def test_pearson_by_hand(predicted: list[float], r: float) -> None:
    score = metrics.pearson("r", np.asarray(predicted), np.asarray([1.0, 2, 3]))
    assert score.value == pytest.approx(r)


def test_sums_of_several_samples_give_as_many_values() -> None:
    random = np.random.default_rng(0)
    predicted, actual = random.integers(0, 3, (2, 20))
    values = random.random((2, 20))
    scores = (
        metrics.mean("mean", values[0]),
        metrics.micro_f1("F1", values[0], values[0] + 1, values[1] + 1),
        metrics.macro_f1("macro F1", predicted, actual, 3),
        metrics.r2("R2", values[0], values[1]),
        metrics.pearson("r", values[0], values[1]),
        metrics.perplexity("perplexity", values[0], values[1] + 1),
    )
    samples = random.multinomial(20, np.full(20, 1 / 20), size=(2, 3)).astype(np.float64)
    for score in scores:
        together = score.of_sums(samples @ score.columns)
        assert together.shape == (2, 3), score.name
        for place in np.ndindex(2, 3):
            alone = score.of_sums(samples[place] @ score.columns)
            assert together[place] == pytest.approx(float(alone)), score.name
