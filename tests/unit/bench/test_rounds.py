"""Dividing a contest's rounds by how near the cores were, on made-up samples, and the measuring of two real cores."""

import os

import pytest

from bench import cores, table
from bench.contest import Contest, Samples
from bench.rounds import divide
from bench.shapes import Shape

SMALL, LARGE = Shape(batch=1, tokens=16), Shape(batch=8, tokens=128)
NEAR, APART = 180.0, 400.0


def contest(trips: dict[Shape, tuple[float, ...]], rounds: int) -> Contest:
    """Round number n takes n seconds."""
    return Contest(
        samples=tuple(
            Samples(contestant=name, shape=shape, turns=tuple((float(turn),) for turn in range(rounds)))
            for shape in (SMALL, LARGE)
            for name in ("ours", "peer")
        ),
        logits={},
        round_trips=trips,
    )


def turns(found: Contest, shape: Shape) -> list[float]:
    return [turn[0] for turn in found.of("ours", shape).turns]


def test_rounds_are_divided_by_where_the_cores_were() -> None:
    moved = (*[NEAR] * 6, *[APART] * 6)
    found = divide(contest({SMALL: moved, LARGE: (NEAR,) * 12}, rounds=12))
    assert turns(found.near, SMALL) == [0, 1, 2, 3, 4, 5]
    assert turns(found.apart, SMALL) == [6, 7, 8, 9, 10, 11]
    assert found.apart.shapes == (SMALL,)
    assert found.counts == {SMALL: (6, 12), LARGE: (12, 12)}
    assert found.shortest == NEAR


def test_too_few_of_a_kind_make_no_table() -> None:
    few_near = (*[NEAR] * 4, *[APART] * 8)
    few_apart = (*[NEAR] * 8, *[APART] * 4)
    found = divide(contest({SMALL: few_near, LARGE: few_apart}, rounds=12))
    assert len(turns(found.near, SMALL)) == 12
    assert len(turns(found.near, LARGE)) == 8
    assert found.apart.shapes == ()
    shown = table.apart(found)
    assert "4 of 12 at 1x16, 8 of 12 at 8x128" in shown
    assert "Too few were so at 1x16, of which the tables have all rounds. No shape had five others." in shown


def test_where_nothing_was_measured_all_rounds_count() -> None:
    found = divide(contest({}, rounds=6))
    assert len(turns(found.near, LARGE)) == 6
    assert table.apart(found) == "Not measured."


def test_the_table_shows_what_was_left_out() -> None:
    shown = table.apart(divide(contest({SMALL: (*[NEAR] * 6, *[APART] * 6), LARGE: (NEAR,) * 12}, rounds=12)))
    assert "180 ns" in shown
    assert "8500.00" in shown


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_cores_answer_each_other_and_stay_as_they_were() -> None:
    before = os.sched_getaffinity(0)
    trip = cores.round_trip()
    assert trip is not None
    assert trip > 0
    assert os.sched_getaffinity(0) == before
