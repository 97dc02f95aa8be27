"""Whether labels fit a model: exchanged names and labels without a meaning are seen, and right ones are not."""

import itertools

import numpy as np
import pytest
from scipy import stats

from validation.statistics import metrics
from validation.statistics.chance import above_chance, exchanged, renaming
from validation.statistics.classes import ClassAnswers

ONE_LOOK = float(stats.norm.ppf(0.95))
NAMES = ("negative", "neutral", "positive", "ambivalent")


def classified(actual: np.ndarray, predicted: np.ndarray) -> ClassAnswers:
    return ClassAnswers.of_one_label(NAMES, np.arange(len(actual)), predicted, actual)


def model(right: float, count: int, seed: int = 0, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """True classes, and answers of which a share is right and the others are spread over all classes."""
    random = np.random.default_rng(seed)
    actual = random.integers(0, classes, count)
    predicted = np.where(random.random(count) < right, actual, random.integers(0, classes, count))
    return actual, predicted


def test_right_names_are_kept() -> None:
    given = renaming(classified(*model(0.7, 500)))
    assert given.names == ()
    assert (given.better, given.worse, given.value) == (0, 0, 0.0)
    assert not given.is_shown(ONE_LOOK)
    assert given.could_be_shown(ONE_LOOK)


def test_names_in_another_order_are_shown_with_their_order() -> None:
    actual, predicted = model(0.7, 500)
    moved = renaming(classified((actual + 1) % 4, predicted))
    assert moved.is_shown(ONE_LOOK)
    assert moved.names == (
        ("negative", "ambivalent"),
        ("neutral", "negative"),
        ("positive", "neutral"),
        ("ambivalent", "positive"),
    )
    assert moved.value == pytest.approx(0.7, abs=0.1)


def test_two_exchanged_names_are_shown_though_the_others_are_right() -> None:
    actual, predicted = model(0.7, 500)
    exchanged_actual = np.choose(actual, [0, 2, 1, 3])
    assert (exchanged_actual == predicted).mean() > 0.35, "above chance, which is a quarter"
    moved = renaming(classified(exchanged_actual, predicted))
    assert moved.is_shown(ONE_LOOK)
    assert moved.names == (("neutral", "positive"), ("positive", "neutral"))


def several(moved: tuple[int, ...], count: int = 500) -> ClassAnswers:
    """Answers of several labels each, a tenth of which is wrong; label number i of the data is the model's moved[i]."""
    random = np.random.default_rng(4)
    actual = random.random((count, 4)) < (0.5, 0.3, 0.1, 0.02)
    predicted = actual ^ (random.random(actual.shape) < 0.1)
    return ClassAnswers(
        labels=NAMES, texts=np.arange(count), predicted=predicted, actual=actual[:, list(moved)]
    )


def test_two_exchanged_names_of_several_labels_are_shown() -> None:
    moved = renaming(several((1, 0, 2, 3)))
    assert moved.is_shown(ONE_LOOK)
    assert moved.names == (("negative", "neutral"), ("neutral", "negative"))
    assert not renaming(several((0, 1, 2, 3))).is_shown(ONE_LOOK)


def test_the_names_of_several_labels_agree_with_counting_every_label() -> None:
    """Oracle: of all namings, the one with the most labels that are right, given or left out."""
    answers = several((2, 0, 1, 3))
    best = max(
        itertools.permutations(range(4)),
        key=lambda names: int((answers.actual == answers.predicted[:, list(names)]).sum()),
    )
    assert dict(renaming(answers).names) == {
        NAMES[place]: NAMES[new] for place, new in enumerate(best) if place != new
    }


@pytest.mark.parametrize(("count", "right"), [(20, 0.0), (500, 0.0), (500, 0.1)])
def test_a_model_that_guesses_is_hardly_ever_taken_for_one_with_other_names(count: int, right: float) -> None:
    shown = [renaming(classified(*model(right, count, seed))).is_shown(ONE_LOOK) for seed in range(300)]
    # 5%, and three standard errors of 300 runs
    assert np.mean(shown) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_few_texts_could_not_show_it() -> None:
    # 24 ways, each half a text's worth: 0.5 to the power of 8 times 24 is 9%, and of 9 it is 4.7%
    assert not renaming(classified(np.arange(8) % 4, np.arange(8) % 4)).could_be_shown(ONE_LOOK)
    assert renaming(classified(np.arange(9) % 4, np.arange(9) % 4)).could_be_shown(ONE_LOOK)


def accuracies(right: float, count: int, seed: int) -> tuple[float, float]:
    actual, predicted = model(right, count, seed)
    own = metrics.mean("accuracy", (actual == predicted).astype(np.float64))
    other = metrics.mean("accuracy", (actual[exchanged(count)] == predicted).astype(np.float64))
    return above_chance(own, other, ONE_LOOK)


def test_a_good_model_beats_chance_and_one_with_wrong_labels_is_below() -> None:
    assert accuracies(0.5, 300, 1)[0] > 0
    actual, _ = model(0.5, 300, 2)
    wrong = metrics.mean("accuracy", np.zeros(300))
    other = metrics.mean("accuracy", (actual[exchanged(300)] == (actual + 1) % 4).astype(np.float64))
    assert above_chance(wrong, other, ONE_LOOK)[1] < 0


@pytest.mark.parametrize("count", [40, 300])
def test_a_model_that_guesses_is_said_to_beat_chance_in_five_of_a_hundred_cases(count: int) -> None:
    low, high = np.asarray([accuracies(0.0, count, seed) for seed in range(600)]).T
    most = 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5
    assert (low > 0).mean() <= most
    assert (high < 0).mean() <= most


def test_every_truth_is_used_once() -> None:
    assert sorted(exchanged(50)) == list(range(50))
    assert (exchanged(50) == exchanged(50)).all()
    assert (exchanged(50) != np.arange(50)).sum() > 40


@pytest.mark.parametrize(("examples", "outlier"), [(3, None), (600, 1e6)])
def test_a_regression_is_not_below_chance_where_one_example_decides(
    examples: int, outlier: float | None
) -> None:
    random = np.random.default_rng(4)
    predicted = random.normal(size=examples)
    actual = predicted + random.normal(scale=0.1, size=examples)
    if outlier is not None:
        actual[0] = outlier
    # `exchanged` may leave three examples in their order
    others = np.roll(actual, 1)
    eager, chance = (metrics.r2("R2", predicted, truth) for truth in (actual, others))
    _, high = above_chance(eager, chance, ONE_LOOK)
    assert high > 0


def test_a_regression_with_the_wrong_sign_is_below_chance() -> None:
    random = np.random.default_rng(0)
    predicted = random.normal(size=600)
    actual = -predicted + random.normal(scale=0.1, size=600)
    eager, chance = (metrics.r2("R2", predicted, truth) for truth in (actual, actual[exchanged(600)]))
    assert above_chance(eager, chance, ONE_LOOK)[1] < 0
