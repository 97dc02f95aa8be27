"""Which row is judged, and which rows are one opponent, on made-up samples."""

import pytest
from distilforge.timing.shape import Shape

from bench.contest.contest import compare, fastest
from tests.unit.bench.contests import row, timing

SHAPE = Shape(batch=1, tokens=16)
SECONDS = {("first", SHAPE): 1.0, ("plain", SHAPE): 3.0, ("optimized", SHAPE): 2.0}


@pytest.mark.parametrize(
    ("candidates", "judged"),
    [(["absent", "first", "plain"], "first"), (["plain", "first"], "plain"), (["absent"], None), ([], None)],
)
def test_the_first_candidate_that_ran_is_judged(candidates: list[str], judged: str | None) -> None:
    rows = [row("first"), row("plain"), row("optimized")]
    chosen, ratios = compare(timing(SECONDS), rows, candidates)
    assert chosen == judged
    assert set(ratios) == ({"first", "plain", "optimized"} - {judged} if judged else set())


def test_the_fastest_candidate_over_all_shapes_is_judged() -> None:
    larger = Shape(batch=8, tokens=128)
    seconds = {("one", SHAPE): 1.0, ("one", larger): 9.0, ("two", SHAPE): 2.0, ("two", larger): 4.0}
    rows = [row(name) for name in ("one", "two", "incomplete")]
    timed = timing(seconds | {("incomplete", SHAPE): 0.1})
    assert compare(timed, rows, ["one", "two"], choose=fastest)[0] == "two"
    assert compare(timed, rows, ["incomplete", "one"], choose=fastest)[0] == "one"
    assert compare(timed, rows, ["absent"], choose=fastest) == (None, {})


def test_presets_of_one_peer_are_one_opponent() -> None:
    rows = [row("first"), row("plain", family="a peer"), row("optimized", family="a peer")]
    _, ratios = compare(timing(SECONDS), rows, ["first"])
    (at_shape, mean) = ratios["a peer"]
    assert at_shape.value == mean.value == pytest.approx(2.0)
