"""Cores are near by the shortest round trip of the same timing."""

from distilforge.timing import cores


def test_near_is_judged_by_the_shortest() -> None:
    assert cores.is_near(1.8 * 150, 150)
    assert not cores.is_near(1.9 * 150, 150)
