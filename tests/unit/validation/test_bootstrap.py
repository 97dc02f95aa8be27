"""The statistics of the gates, on made-up samples whose truth is known. Everything is seeded."""

import numpy as np
import pytest

from validation import bootstrap, metrics
from validation.bootstrap import loss_interval, speedup, speedup_interval
from validation.gate import Gates
from validation.metrics import Score
from validation.verdicts import judge_loss

EXAMPLES = 1500


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples, for tests that bootstrap hundreds of times; the ends move by a tenth of their width at most."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 499)


def scores(random: np.random.Generator, examples: int, loss: float, changed: float) -> tuple[Score, Score]:
    """Accuracy of a model at 75% and of a variant that changes a share of its answers and loses `loss` of them."""
    eager = random.random(examples) < 0.75
    draw = random.random(examples)
    # P(right turns wrong) - P(wrong turns right) = loss, and together they are `changed`.
    lost = eager & (draw < (changed + loss) / 2 / 0.75)
    won = ~eager & (draw < (changed - loss) / 2 / 0.25)
    variant = (eager & ~lost) | won
    return tuple(metrics.mean("accuracy", side.astype(np.float64)) for side in (eager, variant))  # type: ignore[return-value]


@pytest.mark.usefixtures("_quick")
def test_a_loss_of_three_points_is_refused_and_none_passes() -> None:
    random = np.random.default_rng(1)
    gates = Gates()
    refused = sum(not judge_loss(*scores(random, EXAMPLES, 0.03, 0.05), gates) for _ in range(20))
    assert refused == 20
    passed = sum(bool(judge_loss(*scores(random, EXAMPLES, 0.0, 0.01), gates)) for _ in range(20))
    assert passed >= 19


@pytest.mark.usefixtures("_quick")
def test_a_loss_of_exactly_the_margin_passes_about_as_often_as_the_confidence_allows() -> None:
    random = np.random.default_rng(2)
    wrongly = sum(bool(judge_loss(*scores(random, EXAMPLES, 0.01, 0.04), Gates())) for _ in range(100))
    assert wrongly <= 12  # 5% of 100 is 5; beyond 12 has a chance below 0.2%


@pytest.mark.usefixtures("_quick")
def test_the_upper_end_covers_the_true_loss_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    above = 0
    for _ in range(300):
        _, high = loss_interval(*scores(random, 400, 0.02, 0.1), confidence=0.95)
        above += high >= 0.02
    assert 0.91 <= above / 300 <= 0.985


def test_no_difference_at_all_is_an_interval_of_zero() -> None:
    same, again = scores(np.random.default_rng(4), EXAMPLES, 0.0, 0.0)
    assert loss_interval(same, again, confidence=0.95) == (0.0, 0.0)
    verdict = judge_loss(same, again, Gates(margin=0.0))
    assert verdict
    assert verdict.interval == (0.0, 0.0)


def test_examples_are_paired() -> None:
    # Two models at 75% that answer alike differ less than two that are right on different examples.
    random = np.random.default_rng(5)
    paired = loss_interval(*scores(random, EXAMPLES, 0.0, 0.01), confidence=0.95)
    first, _ = scores(random, EXAMPLES, 0.0, 0.0)
    second, _ = scores(random, EXAMPLES, 0.0, 0.0)
    unpaired = loss_interval(first, second, confidence=0.95)
    assert paired[1] - paired[0] < (unpaired[1] - unpaired[0]) / 3


def test_for_a_metric_where_lower_is_better_a_rise_is_the_loss() -> None:
    counts = np.ones(500)
    eager = metrics.perplexity("pseudo-perplexity", np.full(500, 1.0), counts)
    worse = metrics.perplexity("pseudo-perplexity", np.full(500, 1.1), counts)
    low, high = loss_interval(eager, worse, confidence=0.95)
    assert low == pytest.approx(np.exp(1.1) - np.exp(1.0))
    assert high == pytest.approx(low)


def test_the_interval_is_the_same_in_every_run() -> None:
    pair = scores(np.random.default_rng(6), 300, 0.01, 0.05)
    assert loss_interval(*pair, confidence=0.95) == loss_interval(*pair, confidence=0.95)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same resamples in one batch and in many: how they are batched must not change what they say.
    pair = scores(np.random.default_rng(7), 300, 0.01, 0.05)
    whole = loss_interval(*pair, confidence=0.95)
    monkeypatch.setattr(bootstrap, "HELD", 300 * 100)
    batched = loss_interval(*pair, confidence=0.95)
    assert batched == pytest.approx(whole, abs=1e-12)


def test_speedup_is_the_geometric_mean_of_the_ratios_of_medians() -> None:
    pairs = [([2.0, 2.0, 9.0], [1.0, 1.0, 1.0]), ([8.0, 8.0, 8.0], [1.0, 1.0, 7.0])]
    assert speedup(pairs) == pytest.approx(4.0)


def test_the_interval_of_the_speedup_covers_the_truth() -> None:
    random = np.random.default_rng(8)
    below = 0
    for _ in range(100):
        eager = 1.5 * random.lognormal(0, 0.2, 25)
        variant = random.lognormal(0, 0.2, 25)
        low, high = speedup_interval([(tuple(eager), tuple(variant))], confidence=0.95)
        assert low <= speedup([(tuple(eager), tuple(variant))]) <= high
        below += low <= 1.5
    assert below >= 88
