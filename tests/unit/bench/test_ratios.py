"""Ratios, their intervals and the limits, on made-up samples."""

import numpy as np
import pytest

from bench.contest import Contest, Samples
from bench.ratios import EAGER, OPENVINO, OPTIMUM, Ratio, Wanted, ratios, wanted
from bench.shapes import Shape

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)
OURS = "ours"


def contest(seconds: dict[tuple[str, Shape], float], *, spread: float = 0.0, turns: int = 20) -> Contest:
    """Samples around the given seconds, with log-normal noise of the given spread."""
    random = np.random.default_rng(5)
    return Contest(
        samples=tuple(
            Samples(
                contestant=name,
                shape=shape,
                turns=tuple((float(middle * np.exp(spread * random.normal())),) for _ in range(turns)),
            )
            for (name, shape), middle in seconds.items()
        ),
        logits={},
    )


def test_ratios_are_of_medians_and_their_mean_is_geometric() -> None:
    found = ratios(
        contest({(OURS, SMALL): 1.0, ("peer", SMALL): 2.0, (OURS, LARGE): 1.0, ("peer", LARGE): 8.0}),
        OURS,
        ["peer"],
        title="peer",
    )
    assert [one.value for one in found] == pytest.approx([2.0, 8.0, 4.0])
    assert [one.shape for one in found] == [SMALL, LARGE, None]
    assert found[0].inverse == pytest.approx(0.5)


def test_at_each_shape_the_fastest_preset_of_a_peer_counts() -> None:
    seconds = {(OURS, SMALL): 1.0, ("plain", SMALL): 3.0, ("optimized", SMALL): 2.0}
    seconds |= {(OURS, LARGE): 1.0, ("plain", LARGE): 5.0, ("optimized", LARGE): 6.0}
    found = ratios(contest(seconds), OURS, ["plain", "optimized"], title="peer")
    assert [one.value for one in found] == pytest.approx([2.0, 5.0, np.sqrt(10.0)])


def test_an_interval_holds_the_ratio_and_widens_with_noise() -> None:
    seconds = {(OURS, SMALL): 1.0, ("peer", SMALL): 1.5}
    quiet, noisy = (
        ratios(contest(seconds, spread=spread), OURS, ["peer"], title="peer")[0] for spread in (0.01, 0.1)
    )
    for found in (quiet, noisy):
        assert found.interval[0] < 1.5 < found.interval[1]
    assert quiet.interval[1] - quiet.interval[0] < 0.5 * (noisy.interval[1] - noisy.interval[0])


def test_runs_of_one_turn_count_as_one_sample() -> None:
    samples = Samples(contestant=OURS, shape=SMALL, turns=((1.0, 1.0, 9.0), (2.0,), (3.0, 3.0)))
    assert samples.medians == (1.0, 2.0, 3.0)
    assert samples.median == 2.0


def against(title: str, mean: float, worst: float) -> dict[str, tuple[Ratio, ...]]:
    def ratio(value: float, shape: Shape | None) -> Ratio:
        return Ratio(opponent=title, shape=shape, value=value, interval=(value, value))

    return {title: (ratio(worst, SMALL), ratio(2 * mean, LARGE), ratio(mean, None))}


@pytest.mark.parametrize(
    ("title", "mean", "worst", "met"),
    [
        (EAGER, 7.5, 1.0, [True]),
        (EAGER, 7.4, 7.0, [False]),
        (OPTIMUM, 1.25, 1.0, [True, True]),
        (OPTIMUM, 1.24, 0.99, [False, False]),
        (OPENVINO, 1 / 1.08, 1 / 1.2, [True, True]),
        (OPENVINO, 1 / 1.09, 1 / 1.21, [False, False]),
    ],
)
def test_the_limits_of_each_peer(title: str, mean: float, worst: float, met: list[bool]) -> None:
    found = [one for one in wanted(against(title, mean, worst)) if one.observed is not None]
    assert [bool(one) for one in found] == met


def test_what_was_not_measured_is_not_met() -> None:
    assert not any(wanted({}))
    assert not Wanted(what="anything", observed=None, at_most=1.0)
