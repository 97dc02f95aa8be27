"""Losses of single classes: counted by hand, and how often made-up variants pass and fail."""

import numpy as np
import pytest
from scipy import stats

from validation.statistics.classes import (
    ClassAnswers,
    ClassLoss,
    class_losses,
    class_verdicts,
    more_may_show_a_loss,
)

ONE_LOOK = float(stats.norm.ppf(0.95))
LIMIT = 0.1
RUNS = 2000
# A share of 5% of 2,000 runs lies within three standard errors of 0.49 points
MOST = 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


def answers(predicted: list[int], actual: list[int], texts: list[int] | None = None) -> ClassAnswers:
    return ClassAnswers.of_one_label(
        ("ok", "fraud"),
        np.asarray(texts if texts is not None else range(len(predicted)), dtype=np.int64),
        np.asarray(predicted),
        np.asarray(actual),
    )


def loss_of(losses: tuple[ClassLoss, ...], label: str, share: str) -> ClassLoss:
    (loss,) = (loss for loss in losses if (loss.label, loss.share) == (label, share))
    return loss


def test_answers_that_are_lost_and_gained_are_counted() -> None:
    actual = [1, 1, 1, 1, 0, 0, 0]
    eager = answers([1, 1, 1, 0, 0, 0, 1], actual)
    # Two frauds are lost, one is gained; one wrong alarm goes and two come
    variant = answers([0, 0, 1, 1, 1, 1, 0], actual)
    losses = class_losses(eager, variant)
    recall, precision = (loss_of(losses, "fraud", share) for share in ("recall", "precision"))
    assert (recall.lost, recall.gained, recall.of) == (2, 1, 3)
    assert recall.value == pytest.approx(1 / 3)
    assert (precision.lost, precision.gained, precision.of) == (2, 1, 4)
    assert precision.value == pytest.approx(1 / 4)


def test_a_class_that_eager_never_finds_cannot_be_lost_and_settles_nothing() -> None:
    eager, variant = answers([0] * 50, [1] * 50), answers([0] * 50, [1] * 50)
    recall = loss_of(class_losses(eager, variant), "fraud", "recall")
    assert (recall.of, recall.value) == (0, 0.0)
    assert recall in class_verdicts([recall], critical=ONE_LOOK, limit=LIMIT).rare


def test_classes_that_do_not_occur_settle_nothing() -> None:
    losses = class_losses(answers([0, 0], [0, 0]), answers([0, 1], [0, 0]))
    assert {(loss.label, loss.share, loss.of) for loss in losses} == {
        ("ok", "recall", 2),
        ("ok", "precision", 2),
        ("fraud", "recall", 0),
    }


@pytest.mark.parametrize("frauds", [3, 4, 9, 200])
def test_a_class_that_is_never_found_any_more_is_beyond_the_limit(frauds: int) -> None:
    actual = [1] * frauds + [0] * 5000
    losses = class_losses(answers(actual, actual), answers([0] * len(actual), actual))
    beyond = class_verdicts(losses, critical=ONE_LOOK, limit=LIMIT).beyond
    assert [(loss.label, loss.share) for loss in beyond] == [("fraud", "recall")]


def test_a_class_that_is_given_far_too_often_is_beyond_the_limit() -> None:
    actual = [1] * 9 + [0] * 1300
    # 12 wrong alarms beside 9 right ones: accuracy falls by less than a point
    variant = answers([1] * 9 + [1] * 12 + [0] * 1288, actual)
    beyond = class_verdicts(
        class_losses(answers(actual, actual), variant), critical=ONE_LOOK, limit=LIMIT
    ).beyond
    assert [(loss.label, loss.share) for loss in beyond] == [("fraud", "precision")]


def test_one_or_two_lost_answers_show_nothing() -> None:
    for frauds in (1, 2):
        actual = [1] * frauds + [0] * 1000
        losses = class_losses(answers(actual, actual), answers([0] * len(actual), actual))
        shown = class_verdicts(losses, critical=ONE_LOOK, limit=LIMIT)
        assert not shown.beyond
        assert loss_of(shown.rare, "fraud", "recall").value == 1.0
        assert more_may_show_a_loss(losses, limit=LIMIT) == (frauds == 2)


@pytest.mark.parametrize(("frauds", "rare"), [(29, True), (30, False)])
def test_thirty_answers_can_show_a_loss_within_a_tenth(frauds: int, rare: bool) -> None:
    # 0.9 to the power of 29 is 4.7%, and -ln(0.05) / 0.1 is 29.96
    actual = [1] * frauds + [0] * 500
    losses = class_losses(answers(actual, actual), answers(actual, actual))
    recall = loss_of(losses, "fraud", "recall")
    assert recall.is_rare(0.05, LIMIT) == rare
    assert (recall.interval(0.05)[1] > LIMIT) == rare


def test_the_words_of_one_text_are_one_event() -> None:
    actual = [1] * 40
    eager = answers(actual, actual, list(range(40)))
    apart = answers([0] * 8 + [1] * 32, actual, list(range(40)))
    one_text = [0] * 8 + list(range(1, 33))
    together = loss_of(
        class_losses(answers(actual, actual, one_text), answers([0] * 8 + [1] * 32, actual, one_text)),
        "fraud",
        "recall",
    )
    scattered = loss_of(class_losses(eager, apart), "fraud", "recall")
    assert together.value == scattered.value == pytest.approx(0.2)
    assert together.interval(0.05)[0] < scattered.interval(0.05)[0]
    assert together.interval(0.05)[1] > scattered.interval(0.05)[1]


def made_up(
    random: np.random.Generator, classes: int, size: int, right: float, lost: float, gained: float
) -> tuple[ClassLoss, ...]:
    """A variant that loses a share `lost` of what eager finds in each class, and gains a share of the rest."""
    losses = []
    for number in range(classes):
        right_count = int(random.binomial(size, right))
        lost_count, gained_count = (
            random.binomial(right_count, lost),
            random.binomial(size - right_count, gained),
        )
        losses.append(
            ClassLoss(
                label=str(number),
                share="recall",
                of=right_count,
                losses=np.ones(lost_count),
                gains=np.ones(gained_count),
                most_lost=right_count,
                most_gained=size - right_count,
            )
        )
    return tuple(losses)


@pytest.mark.parametrize(
    ("size", "right", "lost", "gained"),
    # At the limit: what is lost, less what is gained, is a tenth of what eager finds
    [(60, 0.9, 0.1, 0.0), (300, 0.8, 0.15, 0.2), (1000, 0.5, 0.2, 0.1), (100, 0.6, 0.16, 0.09)],
)
def test_at_most_five_of_a_hundred_classes_on_the_limit_are_met(
    size: int, right: float, lost: float, gained: float
) -> None:
    random = np.random.default_rng(1)
    met = 0
    for _ in range(RUNS):
        shown = class_verdicts(made_up(random, 1, size, right, lost, gained), critical=ONE_LOOK, limit=LIMIT)
        met += any(loss.interval(shown.tail)[1] <= LIMIT for loss in shown.enough)
    assert met / RUNS <= MOST


@pytest.mark.parametrize(
    ("classes", "size", "right", "lost", "gained"),
    [(12, 60, 0.9, 0.1, 0.0), (12, 8, 0.9, 0.1, 0.0), (5, 300, 0.8, 0.15, 0.2), (40, 20, 0.7, 0.13, 0.07)],
)
def test_at_most_five_of_a_hundred_variants_fail_whose_classes_are_all_on_the_limit(
    classes: int, size: int, right: float, lost: float, gained: float
) -> None:
    random = np.random.default_rng(2)
    failed = sum(
        bool(
            class_verdicts(
                made_up(random, classes, size, right, lost, gained), critical=ONE_LOOK, limit=LIMIT
            ).beyond
        )
        for _ in range(RUNS // 4)
    )
    # Of 500 runs, three standard errors are 2.9 points
    assert failed / (RUNS // 4) <= 0.05 + 3 * (0.05 * 0.95 / (RUNS // 4)) ** 0.5


def test_a_class_that_loses_half_is_found_among_many() -> None:
    random = np.random.default_rng(3)
    detected = 0
    for _ in range(200):
        losses = (*made_up(random, 11, 60, 0.9, 0.02, 0.1), *made_up(random, 1, 40, 0.9, 0.5, 0.0))
        detected += any(
            loss is losses[-1] for loss in class_verdicts(losses, critical=ONE_LOOK, limit=LIMIT).beyond
        )
    assert detected / 200 >= 0.9


def test_holms_later_steps_hold_the_next_class_to_less() -> None:
    # Four of ten are not shown at 0.05 / 2, the level of the first step, and they are at 0.05, that of the second
    def loss(lost: int) -> ClassLoss:
        return ClassLoss(
            label=str(lost),
            share="recall",
            of=10,
            losses=np.ones(lost),
            gains=np.zeros(0),
            most_lost=10,
            most_gained=0,
        )

    clear, near = loss(10), loss(4)
    assert near.interval(0.05)[0] > LIMIT
    limit = (near.interval(0.05)[0] + near.interval(0.025)[0]) / 2
    assert len(class_verdicts([clear, near], critical=ONE_LOOK, limit=limit).beyond) == 2
    assert len(class_verdicts([near, loss(0)], critical=ONE_LOOK, limit=limit).beyond) == 0
