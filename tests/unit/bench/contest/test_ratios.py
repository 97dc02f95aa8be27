"""Ratios and their intervals, on made-up samples."""

import numpy as np
import pytest
from distilforge.timing.shape import Shape

from bench.contest.ratios import ratios
from tests.unit.bench.contests import timing

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)
OURS = "ours"


def test_there_is_a_ratio_for_every_shape_and_a_mean() -> None:
    seconds = {(OURS, SMALL): 1.0, ("peer", SMALL): 2.0, (OURS, LARGE): 1.0, ("peer", LARGE): 8.0}
    to_peer = ratios(timing(seconds), OURS, ["peer"], title="a peer")
    assert [ratio.value for ratio in to_peer] == pytest.approx([2.0, 8.0, 4.0])
    assert [ratio.shape for ratio in to_peer] == [SMALL, LARGE, None]
    assert {ratio.opponent for ratio in to_peer} == {"a peer"}


def test_at_each_shape_the_fastest_preset_of_a_peer_counts() -> None:
    seconds = {(OURS, SMALL): 1.0, ("plain", SMALL): 3.0, ("optimized", SMALL): 2.0}
    seconds |= {(OURS, LARGE): 1.0, ("plain", LARGE): 5.0, ("optimized", LARGE): 6.0}
    # A family may have the name of one of its presets
    to_peer = ratios(timing(seconds), OURS, ["plain", "optimized"], title="plain")
    assert [ratio.value for ratio in to_peer] == pytest.approx([2.0, 5.0, np.sqrt(10.0)])


def test_an_interval_contains_the_ratio_and_needs_six_rounds() -> None:
    seconds = {(OURS, SMALL): 1.0, ("peer", SMALL): 1.5}
    many, few = (
        ratios(timing(seconds, spread=0.01, rounds=rounds), OURS, ["peer"], title="peer")[0].estimate.interval
        for rounds in (6, 5)
    )
    assert many is not None
    assert many[0] < 1.5 < many[1]
    assert few is None


def test_a_shape_that_a_peer_refuses_does_not_have_a_ratio_and_there_is_no_mean() -> None:
    seconds = {(OURS, SMALL): 1.0, ("peer", SMALL): 9.0, (OURS, LARGE): 1.0}
    assert [ratio.shape for ratio in ratios(timing(seconds), OURS, ["peer"], title="peer")] == [SMALL]


def test_another_preset_takes_the_shape_that_one_refuses() -> None:
    seconds = {(OURS, SMALL): 1.0, ("plain", SMALL): 2.0, (OURS, LARGE): 1.0, ("other", LARGE): 8.0}
    to_peer = ratios(timing(seconds), OURS, ["plain", "other"], title="peer")
    assert [ratio.value for ratio in to_peer] == pytest.approx([2.0, 8.0, 4.0])
